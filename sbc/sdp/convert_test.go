package sdp

import (
	"errors"
	"testing"
)

func converting(n int, codecs ...string) *Local {
	l := leg(n, Off, codecs...)
	l.Convert = true
	return l
}

func TestWhatTheRelayCanMakeIsOffered(t *testing.T) {
	for _, c := range []struct {
		name, offer string
		codecs      []string
		wide        bool
		want        string
	}{
		{"G.711 is known to all: nothing is added", "RTP/AVP 8 101", nil, false, "PCMA=8 telephone-event=101"},
		{"no key presses", "RTP/AVP 0", nil, false, "PCMU=0 telephone-event=101"},
		{"G.722 alone", "RTP/AVP 9 101", nil, false, "G722=9 PCMA=8 PCMU=0 telephone-event=101"},
		{"the cloud takes A-law only", "RTP/AVP 0 9 101", []string{"PCMA", "telephone-event"}, false, "PCMA=8 telephone-event=101"},
		{"refused once", "RTP/AVP 8 101", nil, true, "PCMA=8 PCMU=0 G722=9 telephone-event=101"},
		{"Opus with A-law", "RTP/AVP 111 8 101", nil, false, "opus=111 PCMA=8 telephone-event=101"},
		{"Opus alone", "RTP/AVP 111", nil, true, "opus=111"},
	} {
		l := converting(2, c.codecs...)
		l.Wide = c.wide
		s := must[*Session](t)(l.Offer(audio("10.0.0.5", 4000, c.offer, "a=rtpmap:101 telephone-event/8000", "a=rtpmap:111 opus/48000/2")))
		if got := list(wire(t, s).Media[0].Formats); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	l := leg(2, Off, "PCMA")
	if _, err := l.Offer(audio("10.0.0.5", 4000, "RTP/AVP 9")); !errors.Is(err, ErrNoCodec) {
		t.Errorf("without the relay: %v", err)
	}
	l = converting(2, "PCMA")
	if _, err := l.Offer(audio("10.0.0.5", 4000, "RTP/AVP 18")); !errors.Is(err, ErrNoCodec) {
		t.Errorf("G.729 is not ours: %v", err)
	}
}

// TestSidesWithoutCommonCodecAgree goes through a call between a phone with G.722
// and a cloud with A-law: offer and answer, then a hold from either side.
func TestSidesWithoutCommonCodecAgree(t *testing.T) {
	a, b := converting(1), converting(2, "PCMA", "PCMU", "telephone-event")
	offer := audio("10.0.0.5", 4000, "RTP/AVP 9 101", "a=rtpmap:101 telephone-event/8000")
	toCloud := must[*Session](t)(b.Offer(offer))
	answer := audio("198.51.100.7", 6000, "RTP/AVP 8")
	toPhone := must[*Session](t)(a.Answer(offer, answer))
	if got := list(wire(t, toPhone).Media[0].Formats); got != "G722=9 telephone-event=101" {
		t.Errorf("the phone is told %s", got)
	}
	near, far := must[Flow](t)(a.Flow(toPhone, offer)), must[Flow](t)(b.Flow(toCloud, answer))
	if near.Formats[0].Name != "G722" || far.Formats[0].Name != "PCMA" || len(far.Formats) != 1 {
		t.Errorf("%+v %+v", near.Formats, far.Formats)
	}
	hold := must[*Session](t)(a.Offer(audio("198.51.100.7", 6000, "RTP/AVP 8", "a=sendonly")))
	if got := list(wire(t, hold).Media[0].Formats); got != "PCMA=8 G722=9 telephone-event=101" {
		t.Errorf("the cloud holds: %s", got)
	}
	if m := must[*Session](t)(b.Answer(audio("198.51.100.7", 6000, "RTP/AVP 8", "a=sendonly"), audio("10.0.0.5", 4000, "RTP/AVP 9 101", "a=rtpmap:101 telephone-event/8000", "a=recvonly"))); list(m.Media[0].Formats) != "PCMA=8" {
		t.Errorf("its answer: %s", list(m.Media[0].Formats))
	}
	back := must[*Session](t)(b.Offer(audio("10.0.0.5", 4000, "RTP/AVP 9 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly")))
	if got := list(wire(t, back).Media[0].Formats); got != "PCMA=8 telephone-event=101" && got != "PCMA=8 PCMU=0 telephone-event=101" {
		t.Errorf("the phone holds: %s", got)
	}
}

func TestKeyPressesAreTakenWhereTheOtherSideHasNone(t *testing.T) {
	offer := audio("10.0.0.5", 4000, "RTP/AVP 8 111 101", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:111 opus/48000/2")
	for _, c := range []struct{ answer, want string }{
		{"RTP/AVP 8", "PCMA=8 telephone-event=101"},
		{"RTP/AVP 0", "PCMA=8 telephone-event=101"},
		{"RTP/AVP 111", "opus=111"}, // the relay cannot speak it
	} {
		l := converting(1)
		s := must[*Session](t)(l.Answer(offer, audio("198.51.100.7", 6000, c.answer, "a=rtpmap:111 opus/48000/2")))
		if got := list(wire(t, s).Media[0].Formats); got != c.want {
			t.Errorf("%s: %s, want %s", c.answer, got, c.want)
		}
	}
	l := converting(1)
	if _, err := l.Answer(offer, audio("198.51.100.7", 6000, "RTP/AVP 18")); !errors.Is(err, ErrNoCodec) {
		t.Errorf("G.729: %v", err)
	}
}
