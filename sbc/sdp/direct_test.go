package sdp

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestDirectNamesTheOtherPeersAddress(t *testing.T) {
	const phone = "v=0\r\no=- 7 1 IN IP4 192.0.2.50\r\ns=-\r\nc=IN IP4 192.0.2.50\r\nt=0 0\r\n" +
		"m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp:4009\r\n"
	for name, c := range map[string]struct {
		change []string
		local  func(*Local)
		no     bool
	}{
		"as it is":               {},
		"it holds":               {change: []string{"a=ptime:20\r\n", "a=sendonly\r\n"}, no: true},
		"it has no address":      {change: []string{"c=IN IP4 192.0.2.50", "c=IN IP4 0.0.0.0"}, no: true},
		"it has keys":            {change: []string{"a=ptime:20\r\n", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\r\n"}, no: true},
		"it wants SRTP":          {change: []string{"RTP/AVP", "RTP/SAVP"}, no: true},
		"it has candidates":      {change: []string{"a=ptime:20\r\n", "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=candidate:1 1 UDP 1 192.0.2.50 4000 typ host\r\n"}, no: true},
		"the leg must have keys": {local: func(l *Local) { l.SRTP = Required }, no: true},
		"the leg checks paths":   {local: func(l *Local) { l.ICE = ICEFull }, no: true},
		"a fax was refused":      {local: func(l *Local) { l.NoFax = true }, no: true},
		"a number means something else here": {local: func(l *Local) {
			l.learn([]Format{{Number: 101, Name: "opus", Clock: 48000, Channels: 2}})
		}, no: true},
		"the leg's list lacks one": {local: func(l *Local) { l.Codecs = []string{"PCMA", "telephone-event"} }, no: true},
	} {
		t.Run(name, func(t *testing.T) {
			text := phone
			if c.change != nil {
				text = strings.Replace(phone, c.change[0], c.change[1], 1)
			}
			from, err := Parse([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			l := &Local{Addr: netip.MustParseAddr("192.0.2.1"), Port: 30000, SessionID: 5, Version: 1, Keys: make(Secret, 32)}
			if _, err := l.Offer(nil); err != nil { // the leg has been described before
				t.Fatal(err)
			}
			l.numbers = nil
			if c.local != nil {
				c.local(l)
			}
			got, err := l.Direct(from)
			if c.no {
				if !errors.Is(err, ErrIndirect) {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			a := got.Audio()
			if a.Addr != from.Audio().Addr || a.Port != 4000 || a.RTCP != netip.MustParseAddrPort("192.0.2.50:4009") || a.Direction != SendRecv || a.Ptime != 20 || len(a.Formats) != 3 {
				t.Errorf("offers %s", got.Bytes())
			}
			if got.Origin.ID != 5 || got.Origin.Version != 2 {
				t.Errorf("o= has %d %d, want the next version of 5", got.Origin.ID, got.Origin.Version)
			}
			back, err := l.Offer(from)
			if err != nil || back.Audio().Port != 30000 || back.Origin.Version != 3 {
				t.Errorf("back in the box: %s %v", back.Bytes(), err)
			}
		})
	}
}
