package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"linekeeper/sbc/sip"
)

// Session names a call from end to end (RFC 7989): the UUID of who sends the
// message and of who gets it, 32 lower-case hexadecimal digits each.
type Session struct{ Local, Remote string }

// NilUUID stands for an end that isn't known yet.
const NilUUID = "00000000000000000000000000000000"

// ReadSession is the Session-ID of a message. One without remote is of the
// older RFC 7329; ok is false where there is none that can be read.
func ReadSession(m sip.Message) (s Session, ok bool) {
	v := sip.HeaderValue(m, "Session-ID")
	if v == "" {
		return s, false
	}
	local, rest, _ := strings.Cut(v, ";")
	if s.Local, ok = uuid(local); !ok {
		return Session{}, false
	}
	s.Remote = NilUUID
	for p := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "remote") {
			if s.Remote, ok = uuid(value); !ok {
				return Session{}, false
			}
		}
	}
	return s, true
}

func uuid(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if b, err := hex.DecodeString(s); err != nil || len(b) != 16 {
		return "", false
	}
	return s, true
}

// Header is the header field.
func (s Session) Header() sip.Header {
	return sip.NewHeader("Session-ID", s.Local+";remote="+s.Remote)
}

// NewUUID makes the UUID of an end that brings none of its own, always the same
// from the same secret and name; nobody can guess it without the secret.
func NewUUID(secret, name string) string {
	sum := sha256.Sum256([]byte("session\x00" + secret + "\x00" + name))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // RFC 9562 4.1, 4.2
	return hex.EncodeToString(b)
}
