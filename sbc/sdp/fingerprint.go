package sdp

import (
	"crypto/sha1" //nolint:gosec // a fingerprint that the signalling vouches for; some phones know no other
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"slices"
	"strings"
)

// Fingerprint is the hash of a certificate (RFC 8122 5).
type Fingerprint struct {
	// Hash is "sha-256" as a rule.
	Hash string
	// Value is the hash in upper case hexadecimal, "AB:CD:…".
	Value string
}

// FingerprintOf is the sha-256 of a certificate in DER.
func FingerprintOf(certificate []byte) Fingerprint {
	sum, _ := digest("sha-256", certificate)
	return Fingerprint{"sha-256", colons(sum)}
}

// Matches says whether a certificate in DER is the one that is meant.
func (f Fingerprint) Matches(certificate []byte) bool {
	sum, ok := digest(f.Hash, certificate)
	return ok && colons(sum) == f.Value
}

func digest(hash string, b []byte) ([]byte, bool) {
	switch hash {
	case "sha-1":
		s := sha1.Sum(b) //nolint:gosec // see above
		return s[:], true
	case "sha-256":
		s := sha256.Sum256(b)
		return s[:], true
	case "sha-384":
		s := sha512.Sum384(b)
		return s[:], true
	case "sha-512":
		s := sha512.Sum512(b)
		return s[:], true
	}
	return nil, false
}

func colons(sum []byte) string {
	text := strings.ToUpper(hex.EncodeToString(sum))
	var b strings.Builder
	for i := 0; i < len(text); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(text[i : i+2])
	}
	return b.String()
}

// parseFingerprint reads "sha-256 AB:CD:…"; one by a hash that we don't know, or
// of the wrong length, is passed over.
func parseFingerprint(text string) (Fingerprint, bool) {
	hash, value, ok := strings.Cut(text, " ")
	f := Fingerprint{strings.ToLower(hash), strings.ToUpper(strings.TrimSpace(value))}
	like, known := digest(f.Hash, nil)
	if !ok || !known || len(f.Value) != 3*len(like)-1 {
		return Fingerprint{}, false
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(f.Value, ":", ""))
	if err != nil || colons(raw) != f.Value {
		return Fingerprint{}, false
	}
	return f, true
}

// Setup is who begins the DTLS handshake (RFC 4145 4, RFC 5763 5).
type Setup string

// The roles.
const (
	ActPass Setup = "actpass"
	Active  Setup = "active"
	Passive Setup = "passive"
)

func parseSetup(text string) Setup {
	switch s := Setup(strings.ToLower(text)); s {
	case ActPass, Active, Passive:
		return s
	}
	return ""
}

// Handshake says that the keys of a flow come out of DTLS on the media path
// (RFC 5763, RFC 5764).
type Handshake struct {
	// Client says that we begin.
	Client bool
	// Peer are the fingerprints of the peer's certificate; one must match.
	Peer []Fingerprint
	// ID is the peer's name for the association (RFC 8842); "": not given.
	ID string
	// Suites are what we offer or take, best first.
	Suites []Suite
}

// Equal says whether two descriptions are about one association.
func (h *Handshake) Equal(o *Handshake) bool {
	if h == nil || o == nil {
		return h == o
	}
	return h.Client == o.Client && h.ID == o.ID && slices.Equal(h.Peer, o.Peer)
}

// dtlsSuites are those of ours that DTLS has a number for (RFC 5764 4.1.2, RFC
// 7714 14.2), in the order of the list.
func dtlsSuites(list []Suite) []Suite {
	var out []Suite
	for _, s := range list {
		if s != AES256SHA80 {
			out = append(out, s)
		}
	}
	return out
}

// byDTLS says whether a section wants its keys by DTLS, or could have them so:
// RTP/AVP with a fingerprint is best effort (RFC 8643).
func (m *Media) byDTLS() bool { return len(m.Fingerprints) > 0 && (m.dtls() || m.plain()) }

// handshake is what the two descriptions agree on; nil where DTLS is not it.
func (l *Local) handshake(m, t *Media) *Handshake {
	if !m.byDTLS() || !t.byDTLS() {
		return nil
	}
	h := &Handshake{Peer: t.Fingerprints, ID: t.TLSID, Suites: dtlsSuites(l.suites())}
	switch {
	case m.Setup == Active:
		h.Client = true
	case m.Setup == ActPass && t.Setup == Passive:
		h.Client = true
	}
	return h
}

// role is our part in the answer to a setup: the one that we have already, else
// the active one, since who answers can begin at once (RFC 5763 5).
func (l *Local) role(theirs Setup) Setup {
	switch {
	case theirs == Active:
		return Passive
	case theirs == ActPass && l.setup != "":
		return l.setup
	}
	return Active
}
