package voice

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/lab/tone"
)

const local = "127.0.0.1"

// pair opens two ends that have agreed by offer and answer.
func pair(t *testing.T, a, b Config) (*End, *End) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	pacer := NewPacer()
	done := make(chan struct{})
	go func() { defer close(done); pacer.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	ends := make([]*End, 2)
	for i, cfg := range []Config{a, b} {
		cfg.Addr = netip.MustParseAddr(local)
		e, err := Open(cfg, pacer)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		ends[i] = e
	}
	if err := agree(ends[0], ends[1]); err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1]
}

func agree(a, b *End) error {
	answer, err := b.Answer(a.Offer())
	if err != nil {
		return err
	}
	return a.Accept(answer)
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestEndsHearEachOther(t *testing.T) {
	for name, terms := range map[string]Terms{
		"plain":    {},
		"sha1":     {Security: Required, Suites: []Suite{SHA1_80}},
		"gcm":      {Security: Required, Suites: []Suite{GCM}},
		"optional": {Security: Opportunistic},
		"mu":       {Codecs: []tone.Law{tone.Mu}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, Config{Terms: terms, Tone: 440}, Config{Terms: terms, Tone: 620, Ear: []float64{440, 620}})
			ctx := within(t, 5*time.Second)
			if err := errors.Join(a.Heard(ctx, 620, 200*time.Millisecond), b.Heard(ctx, 440, 200*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if heard := b.Tones(); heard[0].Longest < 200*time.Millisecond || heard[1].Total > 0 {
				t.Errorf("b heard %+v", heard)
			}
			if s := b.Stats(); s.Lost+s.Late+s.Twice+s.Broken > 0 || s.Sources != 1 {
				t.Errorf("b counted %+v", s)
			}
			if deal, _ := a.Deal(); (deal.Out != nil) != (terms.Security != Plain) {
				t.Errorf("a agreed on %+v", deal)
			}
		})
	}
}

func TestHoldStopsOneDirectionOnly(t *testing.T) {
	a, b := pair(t, Config{Tone: 440}, Config{Tone: 620})
	ctx := within(t, 5*time.Second)
	a.Hold(true)
	if err := agree(a, b); err != nil {
		t.Fatal(err)
	}
	if err := b.Heard(ctx, 440, 200*time.Millisecond); err != nil {
		t.Error("the held side hears nothing:", err)
	}
	if a.Heard(within(t, 300*time.Millisecond), 620, 100*time.Millisecond) == nil {
		t.Error("the held side is heard")
	}
	a.Hold(false)
	if err := agree(a, b); err != nil {
		t.Fatal(err)
	}
	if err := a.Heard(ctx, 620, 200*time.Millisecond); err != nil {
		t.Error("after resume:", err)
	}
}

func TestBareAndForgedPacketsAreCountedApart(t *testing.T) {
	terms := Terms{Security: Required}
	_, b := pair(t, Config{Terms: terms}, Config{Terms: terms})
	conn, err := net.Dial("udp", b.Local().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	bare := make([]byte, 12+tone.Frame)
	bare[0], bare[1] = 0x80, 8
	forged := append(append([]byte(nil), bare...), make([]byte, 10)...)
	for _, p := range [][]byte{bare, forged, {1}} {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	// Counting happens on the end's own reader, which tells nobody: look until it has.
	look, late := time.NewTicker(time.Millisecond), time.After(5*time.Second)
	defer look.Stop()
	for b.Stats().Bare < 1 || b.Stats().Broken < 2 {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("counted %+v", b.Stats())
		}
	}
}

func TestOfferThatDoesNotFitIsRefused(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:4000")
	session := func(terms Terms) *Session {
		s, err := NewSession(terms, at)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tests := map[string]struct{ offerer, answerer Terms }{
		"plain to required":  {Terms{}, Terms{Security: Required}},
		"required to plain":  {Terms{Security: Required}, Terms{}},
		"no common suite":    {Terms{Security: Required, Suites: []Suite{GCM}}, Terms{Security: Required, Suites: []Suite{SHA1_80}}},
		"no common codec":    {Terms{Codecs: []tone.Law{tone.Mu}}, Terms{Codecs: []tone.Law{tone.A}}},
		"optional, no suite": {Terms{}, Terms{Security: Required, Suites: []Suite{GCM}}},
	}
	for name, tt := range tests {
		if _, _, err := session(tt.answerer).Answer(session(tt.offerer).Offer()); !errors.Is(err, ErrNotAcceptable) {
			t.Errorf("%s: %v, want ErrNotAcceptable", name, err)
		}
	}
	if _, deal, err := session(Terms{Security: Opportunistic}).Answer(session(Terms{}).Offer()); err != nil || deal.Out != nil {
		t.Errorf("opportunistic end answers a plain offer with %+v, %v", deal, err)
	}
}

func TestAnswerRefusesWhatIsNotAudio(t *testing.T) {
	s, err := NewSession(Terms{}, netip.MustParseAddrPort("127.0.0.1:4000"))
	if err != nil {
		t.Fatal(err)
	}
	offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.9\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\nm=video 6000 RTP/AVP 31\r\nm=audio 6002 RTP/AVP 0 8\r\na=sendonly\r\n"
	answer, deal, err := s.Answer([]byte(offer))
	if err != nil {
		t.Fatal(err)
	}
	text := string(answer)
	if !strings.Contains(text, "m=video 0 RTP/AVP 31\r\nm=audio 4000 RTP/AVP 0\r\n") || !strings.Contains(text, "a=recvonly") {
		t.Errorf("answer:\n%s", text)
	}
	if deal.Send || !deal.Recv || deal.Law != tone.Mu || deal.Remote.String() != "127.0.0.9:6002" {
		t.Errorf("deal %+v", deal)
	}
}

func TestSequenceCountsHolesAndRepetitions(t *testing.T) {
	tests := map[string]struct {
		numbers           []uint16
		lost              uint64
		lateOnes, doubles int
	}{
		"in order":          {[]uint16{1, 2, 3, 4}, 0, 0, 0},
		"a hole":            {[]uint16{1, 2, 5}, 2, 0, 0},
		"a hole filled":     {[]uint16{1, 3, 2, 4}, 0, 1, 0},
		"twice":             {[]uint16{1, 2, 2, 3}, 0, 0, 1},
		"over the wrap":     {[]uint16{65534, 65535, 0, 1}, 0, 0, 0},
		"hole at the wrap":  {[]uint16{65534, 1}, 2, 0, 0},
		"before the first":  {[]uint16{10, 9}, 0, 1, 0},
		"a long silence":    {[]uint16{10, 1010}, 999, 0, 0},
		"late over 64":      {[]uint16{1, 100, 2}, 97, 1, 0},
		"late twice over64": {[]uint16{1, 100, 2, 2}, 97, 1, 1},
	}
	for name, tt := range tests {
		var s sequence
		lateOnes, doubles := 0, 0
		for _, n := range tt.numbers {
			switch kind, _ := s.take(7, n); kind {
			case late:
				lateOnes++
			case twice:
				doubles++
			case fresh:
			}
		}
		if s.lost() != tt.lost || lateOnes != tt.lateOnes || doubles != tt.doubles {
			t.Errorf("%s: lost %d late %d twice %d, want %d %d %d", name, s.lost(), lateOnes, doubles, tt.lost, tt.lateOnes, tt.doubles)
		}
	}
}

func TestLossOfAnEarlierSourceIsKept(t *testing.T) {
	var s sequence
	for _, n := range []uint16{1, 4} {
		s.take(7, n)
	}
	s.take(8, 900)
	if s.lost() != 2 {
		t.Errorf("lost %d, want 2", s.lost())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 1 RTP/SAVP 8\r\na=crypto:1 AEAD_AES_128_GCM inline:AAAA\r\n"))
	f.Add([]byte("m=audio 1/2 RTP/AVP\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := NewSession(Terms{Security: Opportunistic}, netip.MustParseAddrPort("127.0.0.1:4000"))
		if err != nil {
			t.Fatal(err)
		}
		answer, _, err := s.Answer(text)
		if err != nil {
			return
		}
		if _, err := Parse(answer); err != nil {
			t.Errorf("our answer does not parse: %v\n%s", err, answer)
		}
	})
}
