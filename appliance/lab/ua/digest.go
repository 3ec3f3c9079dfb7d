package ua

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// Credentials answer digest challenges (RFC 3261 22, RFC 8760).
type Credentials struct {
	User, Password string
	Algorithm      string // answer only this one; empty: the strongest offered
}

// maxTries is how often one request is repeated with credentials: once, and once more for a stale nonce.
const maxTries = 2

var errNoChallenge = errors.New("no challenge that can be answered")

// answer puts the authorization for res's challenge on req.
func (c Credentials) answer(req *sip.Request, res *sip.Response, count int) error {
	challenge, reply := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		challenge, reply = "Proxy-Authenticate", "Proxy-Authorization"
	}
	best := c.best(res.GetHeaders(challenge))
	if best == nil || c.User == "" {
		return fmt.Errorf("%d %s: %w", res.StatusCode, res.Reason, errNoChallenge)
	}
	cred, err := digest.Digest(best, digest.Options{
		Method: req.Method.String(), URI: req.Recipient.String(), Username: c.User, Password: c.Password, Count: count,
	})
	if err != nil {
		return fmt.Errorf("answering a challenge: %w", err)
	}
	req.RemoveHeader(reply)
	req.AppendHeader(sip.NewHeader(reply, cred.String()))
	return nil
}

func (c Credentials) best(headers []sip.Header) *digest.Challenge {
	var best *digest.Challenge
	for _, h := range headers {
		ch, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(ch) {
			continue
		}
		algorithm := strings.ToUpper(ch.Algorithm)
		if algorithm == "" {
			algorithm = "MD5"
		}
		if c.Algorithm != "" && !strings.EqualFold(c.Algorithm, algorithm) {
			continue
		}
		for i := range ch.QOP {
			ch.QOP[i] = strings.TrimSpace(ch.QOP[i])
		}
		if best == nil || algorithm == "SHA-256" {
			best = ch
		}
	}
	return best
}

// DoAuthorized sends a request and answers its challenges; the CSeq is raised each time.
func (a *Agent) DoAuthorized(ctx context.Context, req *sip.Request, dest string, cred Credentials) (*sip.Response, error) {
	res, err := a.Do(ctx, req, dest)
	for range maxTries {
		if err != nil || (res.StatusCode != 401 && res.StatusCode != 407) {
			return res, err
		}
		next := req.Clone()
		next.CSeq().SeqNo = req.CSeq().SeqNo + 1
		if err := cred.answer(next, res, 1); err != nil {
			return res, nil // the response says it all
		}
		if req.GetHeader("Authorization") != nil && !stale(res) {
			return res, nil
		}
		req = next
		res, err = a.Do(ctx, req, dest)
	}
	return res, err
}

// stale says whether the nonce was the only thing wrong.
func stale(res *sip.Response) bool {
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
		for _, h := range res.GetHeaders(name) {
			if ch, err := digest.ParseChallenge(h.Value()); err == nil && ch.Stale {
				return true
			}
		}
	}
	return false
}
