package policy

import (
	"errors"
	"fmt"
	"net/netip"

	"linekeeper/sbc/number"
)

var (
	errTooMany = fmt.Errorf("more than %d networks in an access list", MaxPrefixes)
	errInvalid = errors.New("an invalid network in an access list")
)

// Reason is why something was refused, one word for counters and logs.
type Reason string

// The reasons.
const (
	ByACL     Reason = "acl"     // the address isn't allowed
	ByClass   Reason = "class"   // the extension may not call that far
	ByBlocked Reason = "blocked" // the number is barred at the site
	ByNumber  Reason = "number"  // nobody has the number, or it is none
)

// Refusal is a refused request with its SIP face.
type Refusal struct {
	Code   int    // SIP status
	Phrase string // reason phrase; nothing in it that a stranger could use
	Reason Reason
	Detail string // ours, for the log and the screen; never sent
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%d %s: %s", r.Code, r.Phrase, r.Detail)
}

// Check refuses what comes from an address that the ACL doesn't let in; nil:
// it may come.
func (a ACL) Check(addr netip.Addr) *Refusal {
	v := a.Judge(addr)
	if v.Allowed {
		return nil
	}
	detail := "no valid address"
	if v.By.IsValid() {
		detail = fmt.Sprintf("security.deny has %s", v.By)
	}
	return &Refusal{Code: 403, Phrase: "Forbidden", Reason: ByACL, Detail: detail}
}

// Dial judges what an extension of a class dialled; nil: it may. Emergency
// calls are never refused.
func Dial(d number.Dialled, class number.Class) *Refusal {
	switch d.Meaning {
	case number.Emergency:
		return nil
	case number.Nonsense:
		return &Refusal{Code: 404, Phrase: "Not Found", Reason: ByNumber, Detail: "what was dialled is no number"}
	case number.Vacant:
		return &Refusal{Code: 404, Phrase: "Not Found", Reason: ByNumber, Detail: fmt.Sprintf("nobody has the number %s", d.Text)}
	case number.Blocked:
		return &Refusal{Code: 403, Phrase: "Forbidden", Reason: ByBlocked, Detail: fmt.Sprintf("dialplan.blocked bars %s", d.Text)}
	case number.Extension, number.Code, number.Outside:
		if class.Covers(d.Class) {
			return nil
		}
		return &Refusal{
			Code: 403, Phrase: "Forbidden", Reason: ByClass,
			Detail: fmt.Sprintf("an extension of class %s may not make %s calls", class, d.Class),
		}
	}
	return &Refusal{Code: 404, Phrase: "Not Found", Reason: ByNumber, Detail: "what was dialled means nothing"}
}
