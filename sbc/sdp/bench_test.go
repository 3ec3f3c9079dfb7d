package sdp

import (
	"net/netip"
	"testing"
)

// BenchmarkDescribe is our offer with the keys of all suites and its text, as a new
// call toward the cloud needs them.
func BenchmarkDescribe(b *testing.B) {
	from, err := Parse([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\n" +
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l := Local{Addr: netip.MustParseAddr("198.51.100.1"), Port: 30000, SRTP: Required, Keys: make(Secret, 32)}
		s, err := l.Offer(from)
		if err != nil {
			b.Fatal(err)
		}
		s.Bytes()
	}
}
