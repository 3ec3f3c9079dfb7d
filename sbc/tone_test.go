package sbc

import (
	"testing"

	"linekeeper/sbc/call"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sound"
)

// listener is a leg's media that keeps what it was made to hear.
type listener struct {
	fakeStream
	hears media.Source
}

func (l *listener) Play(src media.Source) { l.hears = src }

func TestRingBackIsThatOfTheCountry(t *testing.T) {
	for _, country := range []string{"DE", "GB", "US"} {
		l := &listener{}
		o := &owner{cfg: &Config{Country: country}, legs: map[call.LegID]*port{0: {stream: l}}}
		o.play(call.Play{Leg: 0, RingBack: true})
		if l.hears == nil {
			t.Fatal("silence")
		}
		want := sound.TonesOf(country).RingBack()
		var got, expected [sound.Frame]int16
		for range 200 { // four seconds: the cadences differ within two
			l.hears.Next(&got)
			want.Next(&expected)
			if got != expected {
				t.Fatalf("%s hears another tone", country)
			}
		}
		if o.play(call.Play{Leg: 0}); l.hears != nil {
			t.Error("the tone goes on")
		}
	}
}
