package sip

import (
	"errors"
	"strings"
	"testing"
)

const ping = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\n" +
	"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nabc"

func TestStreamCutsMessagesWhereverTheBytesBreak(t *testing.T) {
	text := "\r\n\r\n" + ping + "\r\n\r\n" + ping + ping
	for size := 1; size < len(text); size++ {
		var s Stream
		n, pings := 0, 0
		for rest := text; rest != ""; {
			k := min(size, len(rest))
			out, err := s.Feed([]byte(rest[:k]))
			if err != nil {
				t.Fatalf("in pieces of %d: %v", size, err)
			}
			n, pings, rest = n+len(out), pings+s.Pings(), rest[k:]
		}
		if n != 3 || pings != 2 || s.Partial() {
			t.Fatalf("in pieces of %d: %d messages, %d pings, partial %v", size, n, pings, s.Partial())
		}
	}
}

func TestStreamGoesOnBehindARequestItRefuses(t *testing.T) {
	var s Stream
	bad := strings.Replace(ping, "a@b SIP", "a@b:99999 SIP", 1)
	out, err := s.Feed([]byte(ping + bad + ping))
	var r *Reject
	if len(out) != 2 || !errors.As(err, &r) || r.Code != 400 {
		t.Fatalf("%d messages, %v", len(out), err)
	}
	if out, err = s.Feed(nil); len(out) != 1 || err != nil {
		t.Fatalf("behind it: %d messages, %v", len(out), err)
	}
}

func TestStreamIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"headers without an end": "OPTIONS sip:a@b SIP/2.0\r\n" + strings.Repeat("X: y\r\n", MaxHead),
		"a line without an end":  strings.Repeat("x", MaxHead+1),
		"too large a body":       strings.Replace(ping, "Content-Length: 3", "Content-Length: 65535", 1),
		"no content-length":      strings.Replace(ping, "Content-Length: 3\r\n", "", 1),
		"no sip":                 "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		var s Stream
		if _, err := s.Feed([]byte(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestIdleStreamHoldsNoBuffer(t *testing.T) {
	var s Stream
	if _, err := s.Feed([]byte(ping)); err != nil || s.buf != nil {
		t.Errorf("%d bytes held, %v", cap(s.buf), err)
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte(bigInvite)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBytes(b *testing.B) {
	m, err := Parse([]byte(bigInvite))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Bytes(m)
	}
}

const bigInvite = "INVITE sip:202@branch.example;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.100.31:5060;branch=z9hG4bK-524287-1---c5;rport\r\n" +
	"Max-Forwards: 70\r\nContact: <sip:201@10.0.100.31:5060;transport=udp>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0004f2123456>\"\r\n" +
	"To: <sip:202@branch.example;user=phone>\r\nFrom: \"Reception\" <sip:201@branch.example>;tag=8a3c11d0\r\n" +
	"Call-ID: 93481NGFjYzE1\r\nCSeq: 102 INVITE\r\nAllow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE, UPDATE, PRACK\r\n" +
	"Supported: replaces, 100rel, timer\r\nSession-Expires: 1800\r\nUser-Agent: Phone/6.4.0.9247\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
