package sip

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// Proof is what an Authority makes of a request.
type Proof int

// The proofs.
const (
	Missing Proof = iota // no credentials for our realm: challenge
	Proven               // the password is right, the nonce fresh, the count new
	Stale                // the password is right, but the nonce is used up: challenge with stale
	Wrong                // unknown user, wrong password, or not for this request
)

func (p Proof) String() string {
	return [...]string{"missing", "proven", "stale", "wrong"}[p]
}

// The nonce: 8 bytes time, 8 bytes serial number, 16 bytes of HMAC.
const (
	nonceBytes  = 32
	nonceWindow = 64 // counts behind the highest that are still told apart
)

// Authority is the server side of digest for one realm (RFC 8760, RFC 7616).
// Nonces carry their time and a MAC, so that handing them out costs no memory;
// only a nonce that was used with the right password is remembered, in a table
// of fixed size. Time and secret come in from outside. Its owner lets one
// goroutine in at a time.
type Authority struct {
	realm  string
	secret []byte
	life   time.Duration
	serial uint64

	used  map[string]*use
	ring  []string // nonces in used, the oldest at next
	next  int
	floor uint64 // nonces with a serial up to this were forgotten: stale if unknown
}

// use remembers the counts seen with a nonce.
type use struct {
	top    uint32
	window uint64 // bit i: top-i was seen
	serial uint64
}

// NewAuthority makes an authority. secret is at least 16 random bytes; life is
// how long a nonce serves; most bounds the nonces remembered. serial is where
// the numbers begin: a value above all of an earlier life of the same secret,
// the time in nanoseconds for instance.
func NewAuthority(realm string, secret []byte, life time.Duration, most int, serial uint64) *Authority {
	return &Authority{
		realm: realm, secret: append([]byte(nil), secret...), life: life, serial: serial, floor: serial,
		used: make(map[string]*use), ring: make([]string, max(most, 1)),
	}
}

// Realm is the realm asked for.
func (a *Authority) Realm() string { return a.realm }

// Challenge makes the header fields of a 401, or of a 407 with proxy set: one
// for SHA-256 and then one for MD5, on one nonce (RFC 8760 2.4).
func (a *Authority) Challenge(now time.Time, stale, proxy bool) []Header {
	name := "WWW-Authenticate"
	if proxy {
		name = "Proxy-Authenticate"
	}
	nonce := a.nonce(now)
	out := make([]Header, 0, 2)
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		v := "Digest realm=" + Quote(a.realm) + `, nonce="` + nonce + `", algorithm=` + algorithm + `, qop="auth"`
		if stale {
			v += ", stale=true"
		}
		out = append(out, NewHeader(name, v))
	}
	return out
}

func (a *Authority) nonce(now time.Time) string {
	a.serial++
	var b [nonceBytes]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixNano()))
	binary.BigEndian.PutUint64(b[8:16], a.serial)
	copy(b[16:], a.mac(b[:16]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (a *Authority) mac(b []byte) []byte {
	h := hmac.New(sha256.New, a.secret)
	h.Write(b)
	h.Write([]byte(a.realm))
	return h.Sum(nil)[:16]
}

// issued tells when we made a nonce, or that we never did.
func (a *Authority) issued(nonce string) (at time.Time, serial uint64, ok bool) {
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceBytes) {
		return at, 0, false
	}
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || !hmac.Equal(b[16:], a.mac(b[:16])) {
		return at, 0, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b[:8]))), binary.BigEndian.Uint64(b[8:16]), true
}

// Check judges a request. password tells the password of a user, if there is
// one. The user is returned for every proof but Missing, as claimed.
func (a *Authority) Check(now time.Time, req *Request, password func(user string) (string, bool)) (user string, proof Proof) {
	p := a.credentials(req)
	if p == nil {
		return "", Missing
	}
	user = p["username"]
	at, serial, ours := a.issued(p["nonce"])
	nc, fit := a.fits(req, p)
	secret, known := password(user)
	c := Challenge{Realm: a.realm, Nonce: p["nonce"], Algorithm: p["algorithm"], Qop: strings.ToLower(p["qop"])}
	want, err := digestOf(c, Credentials{user, secret}, req.Method, p["uri"], req.Body(), p["cnonce"], nc)
	right := err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(p["response"]))) == 1
	switch {
	case !fit || !known || !right:
		return user, Wrong
	case !ours: // of a secret before a restart, perhaps: RFC 7616 3.3, stale
		return user, Stale
	case now.Sub(at) > a.life || now.Before(at.Add(-time.Minute)):
		return user, Stale
	case !a.spend(p["nonce"], serial, nc):
		return user, Stale
	}
	return user, Proven
}

// credentials finds those for our realm.
func (a *Authority) credentials(req *Request) map[string]string {
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		for _, v := range HeaderValues(req, name) {
			if p, err := authParams(v); err == nil && p["realm"] == a.realm {
				return p
			}
		}
	}
	return nil
}

// fits says whether credentials have a form that we asked for and are meant for
// this request, and reads their count. Without qop the count is 0.
func (a *Authority) fits(req *Request, p map[string]string) (nc uint32, ok bool) {
	if s := strength(p["algorithm"]); s == 0 || s > 2 {
		return 0, false
	}
	if p["uri"] != URIText(&req.Recipient) && !sameTarget(p["uri"], &req.Recipient) {
		return 0, false
	}
	switch strings.ToLower(p["qop"]) {
	case "":
		return 0, true
	case "auth":
		n, err := strconv.ParseUint(p["nc"], 16, 32)
		return uint32(n), err == nil && n > 0 && p["cnonce"] != ""
	}
	return 0, false
}

// sameTarget compares user, host and port: phones drop parameters.
func sameTarget(text string, u *URI) bool {
	v, err := ParseURI(text)
	return err == nil && v.User == u.User && strings.EqualFold(v.Host, u.Host) && v.Port == u.Port
}

// spend notes a count of a nonce and says whether it was new. Without a count a
// nonce serves once.
func (a *Authority) spend(nonce string, serial uint64, nc uint32) bool {
	u := a.used[nonce]
	if u == nil {
		if serial <= a.floor {
			return false // perhaps used and forgotten: nobody can tell
		}
		a.remember(nonce, &use{top: nc, window: 1, serial: serial})
		return true
	}
	switch {
	case nc == 0:
		return false
	case nc > u.top:
		if shift := nc - u.top; shift < nonceWindow {
			u.window = u.window<<shift | 1
		} else {
			u.window = 1
		}
		u.top = nc
		return true
	case u.top-nc >= nonceWindow:
		return false
	}
	bit := uint64(1) << (u.top - nc)
	if u.window&bit != 0 {
		return false
	}
	u.window |= bit
	return true
}

func (a *Authority) remember(nonce string, u *use) {
	if old := a.ring[a.next]; old != "" {
		a.floor = max(a.floor, a.used[old].serial)
		delete(a.used, old)
	}
	nonce = strings.Clone(nonce) // not the message's text
	a.ring[a.next] = nonce
	a.next = (a.next + 1) % len(a.ring)
	a.used[nonce] = u
}
