package ng

import (
	"net"
	"net/netip"
	"reflect"
	"testing"
)

func TestControlWordsAreReadAsTheyWereWritten(t *testing.T) {
	in := map[string]any{"command": "offer", "rtcp-mux": []string{"demux", ""}, "sdp": "v=0\r\n", "deep": map[string]any{"a": "1:e"}}
	text := appendBencode(nil, in)
	if want := "d7:command5:offer4:deepd1:a3:1:ee8:rtcp-muxl5:demux0:e3:sdp5:v=0\r\ne"; string(text) != want {
		t.Fatalf("%q, want %q", text, want)
	}
	got, rest, err := bencoded(append(text, "i-7e"...))
	in["rtcp-mux"] = []any{"demux", ""}
	if err != nil || !reflect.DeepEqual(got, any(in)) || string(rest) != "i-7e" {
		t.Errorf("%v, then %q: %v", got, rest, err)
	}
	if n, _, err := bencoded(rest); n != -7 || err != nil {
		t.Errorf("%v %v", n, err)
	}
	for i := range text {
		if v, _, err := bencoded(text[:i]); err == nil {
			t.Errorf("%q was read as %v", text[:i], v)
		}
	}
}

func TestControlAnswersOfOthersArePassedOver(t *testing.T) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	go func() {
		b := make([]byte, 2048)
		for k := 0; ; k++ {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			reply := "d6:result4:ponge"
			if k == 1 {
				reply = "d12:error-reason4:lost6:result5:errore"
			}
			for _, text := range []string{"b77 d6:result5:wronge", string(b[:min(n, 3)]) + reply} {
				if _, err := c.WriteToUDPAddrPort([]byte(text), from); err != nil {
					return
				}
			}
		}
	}()
	g, err := Dial(c.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := g.Ask(map[string]any{"command": "ping"}); err != nil || got["result"] != "pong" {
		t.Errorf("%v %v", got, err)
	}
	if _, err := g.Ask(map[string]any{"command": "offer"}); err == nil {
		t.Error("an error was taken for an answer")
	}
}
