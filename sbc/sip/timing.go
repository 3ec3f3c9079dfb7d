package sip

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// deltaSeconds reads leading digits as seconds; more than 2^31-1 counts as that.
func deltaSeconds(s string) (time.Duration, bool) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	if end == 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:end], 10, 64)
	if err != nil || n > math.MaxInt32 {
		n = math.MaxInt32
	}
	return time.Duration(n) * time.Second, true
}

// seconds reads a whole value as delta-seconds.
func seconds(s string) (time.Duration, bool) {
	s = strings.Trim(s, " \t")
	d, ok := deltaSeconds(s)
	if !ok || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	return d, true
}

func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// DefaultExpires is a registration's time where nobody says another, or says
// it unreadably (RFC 3261 10.2.1.1).
const DefaultExpires = time.Hour

// ExpiresOf is the Expires header of m. A header that cannot be read counts as
// an hour (RFC 3261 10.2.1.1); ok is false when there is none.
func ExpiresOf(m Message) (d time.Duration, ok bool) {
	v := HeaderValue(m, "Expires")
	if v == "" {
		return 0, false
	}
	if d, ok = seconds(v); !ok {
		return DefaultExpires, true
	}
	return d, true
}

// ContactExpires is how long a contact asks to live: its own parameter, the
// Expires header of m, or otherwise (RFC 3261 10.3 step 6).
func ContactExpires(m Message, c *Contact, otherwise time.Duration) time.Duration {
	if v, ok := c.Params.Get("expires"); ok {
		if d, ok := seconds(Unquote(v)); ok {
			return d
		}
		return DefaultExpires
	}
	if d, ok := ExpiresOf(m); ok {
		return d
	}
	return otherwise
}

// ContactQ is the preference of a contact, 0..1000; 1000 when it says none
// (RFC 3261 20.10).
func ContactQ(c *Contact) int {
	v := ParamValue(c.Params, "q")
	if v == "" {
		return 1000
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= 0 && f <= 1) {
		return 1000
	}
	return int(f*1000 + 0.5)
}

// ExpiresHeader makes an Expires header field.
func ExpiresHeader(d time.Duration) Header { return NewHeader("Expires", wholeSeconds(d)) }

// MinExpiresOf is the Min-Expires of a 423.
func MinExpiresOf(m Message) (time.Duration, bool) { return seconds(HeaderValue(m, "Min-Expires")) }

// RetryAfterOf is the Retry-After of a response (RFC 3261 20.33); comment and
// parameters are skipped.
func RetryAfterOf(m Message) (time.Duration, bool) {
	return deltaSeconds(strings.TrimLeft(HeaderValue(m, "Retry-After"), " \t"))
}

// RetryAfterHeader makes a Retry-After of whole seconds, rounded up.
func RetryAfterHeader(d time.Duration) Header { return NewHeader("Retry-After", wholeSeconds(d)) }

// Session is what Session-Expires says (RFC 4028 4).
type Session struct {
	Interval  time.Duration
	Refresher string // "uac", "uas" or "" for undecided
}

// SessionOf reads Session-Expires; ok is false when there is none or it cannot
// be read.
func SessionOf(m Message) (s Session, ok bool) {
	value, params, _ := strings.Cut(HeaderValue(m, "Session-Expires"), ";")
	if s.Interval, ok = seconds(value); !ok {
		return Session{}, false
	}
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.Trim(k, " \t"), "refresher") {
			s.Refresher = strings.ToLower(strings.Trim(v, " \t"))
		}
	}
	if s.Refresher != "uac" && s.Refresher != "uas" {
		s.Refresher = ""
	}
	return s, true
}

// Header makes the Session-Expires header field.
func (s Session) Header() Header {
	v := wholeSeconds(s.Interval)
	if s.Refresher != "" {
		v += ";refresher=" + s.Refresher
	}
	return NewHeader("Session-Expires", v)
}

// MinSE reads Min-SE (RFC 4028 5).
func MinSE(m Message) (time.Duration, bool) {
	value, _, _ := strings.Cut(HeaderValue(m, "Min-SE"), ";")
	return seconds(value)
}

// MinSEHeader makes a Min-SE header field.
func MinSEHeader(d time.Duration) Header { return NewHeader("Min-SE", wholeSeconds(d)) }

// RAck names the reliable provisional response that a PRACK is for (RFC 3262 7.2).
type RAck struct {
	RSeq   uint32
	CSeq   uint32
	Method Method
}

var errRAck = errors.New("faulty rack")

// RAckOf reads the RAck of a PRACK.
func RAckOf(m Message) (RAck, error) {
	f := strings.Fields(HeaderValue(m, "RAck"))
	if len(f) != 3 || !isToken(f[2]) {
		return RAck{}, errRAck
	}
	r, err := parseUint(f[0], 1<<32-1)
	if err != nil {
		return RAck{}, fmt.Errorf("%w: %w", errRAck, err)
	}
	c, err := parseUint(f[1], 1<<31-1)
	if err != nil {
		return RAck{}, fmt.Errorf("%w: %w", errRAck, err)
	}
	return RAck{RSeq: uint32(r), CSeq: uint32(c), Method: Method(f[2])}, nil
}

// Header makes the RAck header field.
func (r RAck) Header() Header {
	return NewHeader("RAck", fmt.Sprintf("%d %d %s", r.RSeq, r.CSeq, r.Method))
}

// RSeqOf reads the RSeq of a reliable provisional response (RFC 3262 7.1).
func RSeqOf(m Message) (uint32, bool) {
	n, err := parseUint(HeaderValue(m, "RSeq"), 1<<32-1)
	return uint32(n), err == nil && n > 0
}

// RSeqHeader makes an RSeq header field.
func RSeqHeader(n uint32) Header { return NewHeader("RSeq", strconv.FormatUint(uint64(n), 10)) }
