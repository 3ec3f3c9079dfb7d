package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// nonces are signed times: nothing is kept but how often each was used.
type nonces struct {
	secret [16]byte
	life   time.Duration
	mu     sync.Mutex
	used   map[string]uint32 // highest nc
}

// maxNonces bounds the table of used nonces; it is emptied when full.
const maxNonces = 16384

func (n *nonces) issue(now time.Time) string {
	stamp := strconv.FormatInt(now.UnixNano(), 16)
	return stamp + "." + n.sign(stamp)
}

func (n *nonces) sign(stamp string) string {
	h := hmac.New(sha256.New, n.secret[:])
	h.Write([]byte(stamp))
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// fresh says whether the nonce is ours, young, and used with a growing count.
func (n *nonces) fresh(nonce string, count uint32, now time.Time) bool {
	stamp, signature, ok := strings.Cut(nonce, ".")
	if !ok || subtle.ConstantTimeCompare([]byte(signature), []byte(n.sign(stamp))) != 1 {
		return false
	}
	at, err := strconv.ParseInt(stamp, 16, 64)
	if err != nil || now.Sub(time.Unix(0, at)) > n.life {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, seen := n.used[nonce]; seen && count <= last {
		return false
	}
	if len(n.used) >= maxNonces {
		clear(n.used)
	}
	n.used[nonce] = count
	return true
}

type verdict uint8

const (
	missing verdict = iota
	proven
	outdated
	wrong
)

// judge checks the credentials of a request for the account named user.
func (c *Cloud) judge(req *sip.Request, header string, user string) verdict {
	h := req.GetHeader(header)
	if h == nil {
		return missing
	}
	cred, err := digest.ParseCredentials(h.Value())
	if err != nil {
		return wrong
	}
	c.mu.Lock()
	s, reject := c.accounts[user], c.fault.RejectCredentials
	c.mu.Unlock()
	if s == nil || cred.Username != s.account.auth() || cred.Realm != c.cfg.Domain || !c.offers(cred.Algorithm) {
		return wrong
	}
	challenge := &digest.Challenge{Realm: cred.Realm, Nonce: cred.Nonce, Opaque: cred.Opaque, Algorithm: cred.Algorithm}
	if cred.QOP != "" {
		challenge.QOP = []string{cred.QOP}
	}
	want, err := digest.Digest(challenge, digest.Options{
		Method: req.Method.String(), URI: cred.URI, Username: cred.Username, Password: s.account.Password,
		Cnonce: cred.Cnonce, Count: cred.Nc,
	})
	switch {
	case err != nil || reject || subtle.ConstantTimeCompare([]byte(want.Response), []byte(cred.Response)) != 1:
		return wrong
	case cred.URI != req.Recipient.String():
		return wrong // RFC 2617 3.2.2.5: the URI is the request's own
	case !c.nonces.fresh(cred.Nonce, uint32(cred.Nc), time.Now()):
		return outdated
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.locked {
		return wrong
	}
	s.wrong = 0
	return proven
}

func (c *Cloud) offers(algorithm string) bool {
	if algorithm == "" {
		algorithm = "MD5"
	}
	return slices.ContainsFunc(c.cfg.Algorithms, func(a string) bool { return strings.EqualFold(a, algorithm) })
}

// challenges are the headers of a 401 or 407, in order of preference (RFC 8760 2.4).
func (c *Cloud) challenges(name string, stale bool) []sip.Header {
	nonce := c.nonces.issue(time.Now())
	headers := make([]sip.Header, 0, len(c.cfg.Algorithms))
	for _, a := range c.cfg.Algorithms {
		ch := digest.Challenge{Realm: c.cfg.Domain, Nonce: nonce, Algorithm: a, QOP: []string{"auth"}, Stale: stale}
		headers = append(headers, sip.NewHeader(name, ch.String()))
	}
	return headers
}
