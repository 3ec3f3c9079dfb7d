package cloud

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// Rules are what the house of a real system insists on. The cloud refuses what
// breaks one and remembers it as a breach. The zero value insists on nothing.
type Rules struct {
	Transports []ua.Transport // others: 403
	// ServerName refuses TLS clients that do not name the cloud (RFC 6066 3).
	ServerName bool
	// Spacing is the least time between the registrations of two accounts; sooner
	// by more than a third of it: 503. Patience is how many of those are borne
	// before the address is barred.
	Spacing  time.Duration
	Patience int
	Shortest time.Duration // expiry asked for; less: 423
	// Kick lets a second registration of an account take the place of the first;
	// Config.Exclusive refuses it instead.
	Kick bool
	// Tries are wrong credentials in a row that an account bears; one more locks it.
	Tries int
	// Allow are the addresses that may speak; others: 403.
	Allow []netip.Prefix
	// Numbers is the form in which outside numbers must be called; others: 404,
	// or 484 where one is only too short.
	Numbers Form
	// Codes are star codes that are taken, with NUMBER and SECONDS for what the
	// user adds; a NUMBER must have the form above or be an account.
	Codes []string
	// Payloads are the RTP payload types with which an offer must begin; else 488.
	Payloads []uint8
	// Candidates says what becomes of ICE candidates in an offer.
	Candidates Candidates
	// Screens puts the account's own number in place of one that isn't its own.
	Screens bool
}

// Form is how numbers are written.
type Form string

// The forms; the empty one is any.
const (
	International Form = `^\+[1-9][0-9]{4,14}$`
	AreaCode      Form = `^0[1-9][0-9]{4,14}$|^00[1-9][0-9]{4,14}$`
)

// services are numbers that have no other form.
var services = regexp.MustCompile(`^(110|112|115|116[0-9]{3}|118[0-9]{2,3})$`)

// Candidates is a system's manner with ICE.
type Candidates uint8

// The manners.
const (
	Tolerated Candidates = iota // read over
	Barred                      // 488: the access lists removed every one
	Demanded                    // 488 to an offer without
)

// Code is a star code that an account dialled.
type Code struct{ Account, Text string }

// Shown is who calls, as the called party of an outgoing call would see it.
type Shown struct {
	Number   string // on the display; empty: withheld
	Network  string // the account's own, as the network vouches for it
	Screened bool   // the caller wished for another number
}

const maxBreaches = 1000

// breach remembers that a rule was broken.
func (c *Cloud) breach(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.breaches) < maxBreaches {
		c.breaches = append(c.breaches, fmt.Sprintf(format, args...))
	}
	c.tellLocked()
}

// Breaches are the rules that were broken so far, in words.
func (c *Cloud) Breaches() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.breaches)
}

// WaitBreach waits until a rule was broken whose words have text in them.
func (c *Cloud) WaitBreach(ctx context.Context, text string) error {
	err := c.wait(ctx, func() bool {
		return slices.ContainsFunc(c.breaches, func(b string) bool { return strings.Contains(b, text) })
	})
	if err != nil {
		return fmt.Errorf("no breach of %q: %w", text, err)
	}
	return nil
}

// WaitCode waits for a star code.
func (c *Cloud) WaitCode(ctx context.Context, want Code) error {
	if err := c.wait(ctx, func() bool { return slices.Contains(c.codes, want) }); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		return fmt.Errorf("waiting for the code %s of %s, had %v: %w", want.Text, want.Account, c.codes, err)
	}
	return nil
}

// Locked says whether an account is locked after too many wrong credentials.
func (c *Cloud) Locked(user string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.accounts[user]
	return s != nil && s.locked
}

// speaks lets an address speak at all, over the transport that it uses.
func (c *Cloud) speaks(a *ua.Agent, req *sip.Request, tx *sip.ServerTx) bool {
	r := c.cfg.Rules
	transport := ua.Transport(strings.ToLower(req.Transport()))
	addr := source(req)
	c.mu.Lock()
	barred := c.early[addr] > r.Patience && r.Patience > 0
	c.mu.Unlock()
	switch {
	case len(r.Allow) > 0 && !slices.ContainsFunc(r.Allow, func(p netip.Prefix) bool { return p.Contains(addr) }):
		c.breach("acl: %s is not allowed", addr)
	case len(r.Transports) > 0 && !slices.Contains(r.Transports, transport):
		c.breach("transport: %s by %s", req.Method, transport)
	case barred:
		c.breach("barred: %s registered too fast", addr)
	default:
		return true
	}
	if req.Method != sip.ACK {
		a.Respond(tx, req, 403, "Forbidden")
	}
	return false
}

func source(req *sip.Request) netip.Addr {
	at, err := netip.ParseAddrPort(req.Source())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// paced says whether a REGISTER comes late enough after another account's.
// Answers to a challenge are part of the registration that they are for.
func (c *Cloud) paced(req *sip.Request, user string) bool {
	r := c.cfg.Rules
	if r.Spacing == 0 || req.GetHeader("Authorization") != nil {
		return true
	}
	now := time.Now()
	c.mu.Lock()
	last, by := c.lastAt, c.lastBy
	soon := by != "" && by != user && now.Sub(last) < r.Spacing*2/3
	c.lastAt, c.lastBy = now, user
	if soon {
		c.early[source(req)]++
	}
	c.mu.Unlock()
	if soon {
		c.breach("spacing: %s %s after %s", user, now.Sub(last).Round(time.Millisecond), by)
	}
	return !soon
}

// wrongTry counts wrong credentials of an account and locks it.
func (c *Cloud) wrongTry(user string) {
	if c.cfg.Rules.Tries == 0 {
		return
	}
	c.mu.Lock()
	s := c.accounts[user]
	locks := false
	if s != nil {
		s.wrong++
		locks = s.wrong > c.cfg.Rules.Tries && !s.locked
		s.locked = s.locked || locks
	}
	c.mu.Unlock()
	if locks {
		c.breach("lock: account %s after %d wrong credentials", user, c.cfg.Rules.Tries+1)
	}
}

// tooShort says whether a REGISTER asks for too short a time.
func (c *Cloud) tooShort(req *sip.Request) bool {
	h := req.Contact()
	if h == nil || h.Address.Wildcard || c.cfg.Rules.Shortest == 0 {
		return false
	}
	d := asked(req, h, c.cfg.Expires)
	return d > 0 && d < c.cfg.Rules.Shortest
}

func minExpires(d time.Duration) sip.Header {
	return sip.NewHeader("Min-Expires", strconv.Itoa(int(d.Seconds())))
}

// judgeCall says by which code a call is refused; 0: it is not.
func (c *Cloud) judgeCall(call *ua.Call) (code int, phrase string) {
	r := c.cfg.Rules
	number := call.Called()
	if _, internal := c.ownAccount(number); !internal && r.Numbers != "" && !services.MatchString(number) {
		if ok, err := regexp.MatchString(string(r.Numbers), number); !ok || err != nil {
			c.breach("number: %s", number)
			if len(number) < 6 {
				return 484, "Address Incomplete"
			}
			return 404, "Not Found"
		}
	}
	return c.judgeOffer(call.Invite().Body())
}

func (c *Cloud) judgeOffer(offer []byte) (code int, phrase string) {
	r := c.cfg.Rules
	if len(offer) == 0 {
		return 0, ""
	}
	has := bytes.Contains(offer, []byte("\na=candidate:"))
	d, err := voice.Parse(offer)
	switch {
	case err != nil:
		return 400, "Bad Description"
	case has && r.Candidates == Barred, !has && r.Candidates == Demanded:
		c.breach("candidates: %v", has)
	case len(r.Payloads) > 0 && (len(d.Audio.Payloads) < len(r.Payloads) || !slices.Equal(d.Audio.Payloads[:len(r.Payloads)], r.Payloads)):
		c.breach("codecs: offered %v, wanted first %v", d.Audio.Payloads, r.Payloads)
	default:
		return 0, ""
	}
	return 488, "Not Acceptable Here"
}

// ownAccount is the account behind an internal number.
func (c *Cloud) ownAccount(number string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.accounts[number]
	return number, ok
}

// code takes a star code; known false: it is none of this system's.
func (c *Cloud) code(call *ua.Call) (known bool) {
	text := strings.ReplaceAll(call.Called(), "%23", "#")
	for _, pattern := range c.cfg.Rules.Codes {
		head, tail, has := strings.Cut(pattern, "NUMBER")
		if !has {
			if text == pattern {
				c.took(call, text)
				return true
			}
			continue
		}
		rest, ok := strings.CutPrefix(text, head)
		if !ok || rest == "" {
			continue
		}
		number, seconds, timed := strings.Cut(rest, "*")
		if timed != (tail != "") || timed && !regexp.MustCompile(`^[0-9]{1,3}$`).MatchString(seconds) {
			continue
		}
		if c.codeNumber(number) {
			c.took(call, text)
			return true
		}
		c.breach("number: %s in the code %s", number, text)
	}
	return false
}

func (c *Cloud) codeNumber(number string) bool {
	if _, own := c.ownAccount(number); own || c.cfg.Rules.Numbers == "" {
		return true
	}
	ok, err := regexp.MatchString(string(c.cfg.Rules.Numbers), number)
	return ok && err == nil
}

func (c *Cloud) took(call *ua.Call, text string) {
	user := c.prover(call)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.codes) < maxRecords {
		c.codes = append(c.codes, Code{user, text})
	}
	c.tellLocked()
}

// codeScript confirms a star code: a short tone, and the cloud hangs up.
func codeScript() Script { return Script{Does: Answers, Tone: 425, HangupAfter: time.Second} }

// prover is the account that proved itself in a call's INVITE.
func (c *Cloud) prover(call *ua.Call) string { return c.proverOf(call.Invite()) }

// proverOf is the account that the credentials of an INVITE name.
func (c *Cloud) proverOf(req *sip.Request) string {
	h := req.GetHeader("Proxy-Authorization")
	if h == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for user, s := range c.accounts {
		if strings.Contains(h.Value(), `username="`+s.account.auth()+`"`) {
			return user
		}
	}
	return ""
}

// Caller is who the called party of a call from the site would see.
func (c *Cloud) Caller(call *ua.Call) Shown {
	req := call.Invite()
	shown := Shown{Network: c.public(c.prover(call))}
	wish := ""
	if h := req.GetHeader("P-Preferred-Identity"); h != nil {
		var u sip.Uri
		text := strings.Trim(strings.TrimSpace(h.Value()), "<>")
		if sip.ParseUri(text, &u) == nil {
			wish = u.User
		}
	}
	shown.Number = wish
	if wish == "" || c.cfg.Rules.Screens && digits(wish) != digits(shown.Network) {
		shown.Number, shown.Screened = shown.Network, wish != ""
	}
	if h := req.GetHeader("Privacy"); h != nil && strings.Contains(h.Value(), "id") {
		shown.Number = ""
	}
	return shown
}

// national reads a number with its area code as Germany writes it.
func national(number string) string {
	if rest, ok := strings.CutPrefix(number, "0"); ok {
		return "49" + rest
	}
	return number
}
