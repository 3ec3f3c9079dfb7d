package sip

import (
	"bytes"
	"fmt"
)

// Stream cuts the bytes of one TCP or TLS connection into messages (RFC 3261
// 18.3). The zero value is ready. After Feed has returned an error other than
// a *Reject the connection has no message border left and must be closed.
type Stream struct {
	buf    []byte
	cr     int   // line ends counted since the last ping
	parsed *head // headers of the message whose body is still coming
	seen   int   // bytes of buf already searched for the end of the headers
	pings  int
}

// Feed takes what was read. It returns the messages that are complete now, in
// order. A *Reject in err belongs to the last message returned: it is a request
// that can be answered, the messages before it are good, and reading may go on
// with Feed(nil) for what was read behind it. data is not kept.
func (s *Stream) Feed(data []byte) ([]Message, error) {
	var out []Message
	s.buf = append(s.buf, data...)
	for {
		m, more, err := s.next()
		if m != nil {
			out = append(out, m)
		}
		if err != nil || !more {
			return out, err
		}
	}
}

// Pings takes the number of keep-alives (double line ends, RFC 5626 3.5.1)
// that came since the last call. Each wants one CRLF as answer.
func (s *Stream) Pings() int {
	n := s.pings
	s.pings = 0
	return n
}

// Partial says whether a message has begun but not ended, so that a reader can
// hold the peer to a deadline.
func (s *Stream) Partial() bool { return len(s.buf) > 0 || s.parsed != nil }

// next cuts one message off; more says whether there may be another.
func (s *Stream) next() (m Message, more bool, err error) {
	if s.parsed == nil {
		if ok, err := s.head(); err != nil || !ok {
			return nil, false, err
		}
	}
	n := s.parsed.length
	if len(s.buf) < n {
		return nil, false, nil
	}
	h := s.parsed
	h.setBody(s.buf[:n])
	s.drop(n)
	s.parsed, s.cr = nil, 0
	m, err = h.result()
	if m == nil && err != nil && h.req == nil {
		// A faulty response costs only itself: where it ended is known.
		return nil, true, nil
	}
	return m, true, err
}

// head reads the start line and headers if they are complete.
func (s *Stream) head() (bool, error) {
	s.skipLineEnds()
	from := max(0, s.seen-3)
	end := bytes.Index(s.buf[from:], []byte("\r\n\r\n"))
	if end < 0 {
		if len(s.buf) > MaxHead {
			return false, fmt.Errorf("headers without an end: %w", ErrTooLarge)
		}
		s.seen = len(s.buf)
		return false, nil
	}
	end += from
	if end > MaxHead {
		return false, fmt.Errorf("headers of %d bytes: %w", end, ErrTooLarge)
	}
	h, err := parseHead(string(s.buf[:end]))
	if err != nil {
		return false, err
	}
	if h.length < 0 {
		// Without a length nothing behind the headers can be trusted.
		return false, fmt.Errorf("stream message without a usable content-length: %w", ErrNotSIP)
	}
	if end+4+h.length > MaxMessage {
		return false, ErrTooLarge
	}
	s.drop(end + 4)
	s.seen = 0
	s.parsed = h
	return true, nil
}

// skipLineEnds drops line ends before a start line (RFC 3261 7.5), counting pings.
func (s *Stream) skipLineEnds() {
	n := 0
	for len(s.buf) >= n+2 && s.buf[n] == '\r' && s.buf[n+1] == '\n' {
		n += 2
		if s.cr++; s.cr == 2 {
			s.cr = 0
			s.pings++
		}
	}
	if n > 0 {
		s.drop(n)
		s.seen = 0
	}
}

// drop forgets the first n bytes, and the buffer itself once it is empty: an
// idle connection holds none.
func (s *Stream) drop(n int) {
	if n == len(s.buf) {
		s.buf = nil
		return
	}
	s.buf = s.buf[n:]
}
