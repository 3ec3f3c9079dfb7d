package sbc

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/media"
)

// scene plays a call to a judge in steps of the watch, 50 packets a second.
type scene struct {
	j    judge
	at   time.Time
	legs [2]heard
	st   [2]media.Stats
	told []string
	// gone[i] says that nothing arrives from leg i, lost how many of a hundred are lost.
	gone [2]bool
	lost [2]uint64
	// instead is what the box drops of leg 1 while nothing arrives.
	instead media.Reason
}

func newScene() *scene {
	s := &scene{at: time.Unix(1e9, 0)}
	for i, side := range []string{LAN, "cloud"} {
		s.st[i] = media.Stats{Codec: "PCMA", In: media.Direction{Burst: 1}}
		s.legs[i] = heard{side: side, expects: true, stats: func() media.Stats { return s.st[i] }}
		s.legs[i].Silence = time.Minute // the ports were opened when it began to ring
	}
	return s
}

// pass lets time go by and yields what was told, with the seconds since.
func (s *scene) pass(d time.Duration) string {
	s.told = nil
	for n := time.Duration(0); n < d; {
		n += mediaWatch
		s.at = s.at.Add(mediaWatch)
		for i := range s.legs {
			l, st := &s.legs[i], &s.st[i]
			if l.Silence += mediaWatch; s.gone[i] {
				st.Dropped = maps.Clone(st.Dropped)
				if st.Dropped != nil {
					st.Dropped[s.instead] += 12
				}
				continue
			}
			l.Silence = 10 * time.Millisecond
			st.In.Packets += 12
			l.Packets += 12
			for range 12 {
				if uint64(s.at.UnixNano()/int64(mediaWatch)*7)%100 < s.lost[i] {
					st.In.Lost++
				}
			}
		}
		if v, changed := s.j.look(s.at, s.legs, 3.6); changed {
			s.told = append(s.told, fmt.Sprintf("%.0f %s %s: %s", n.Seconds(), v.Trouble, v.Side, v.Cause))
		}
	}
	return strings.Join(s.told, "; ")
}

func expectTold(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestStreamThatStopsIsToldWithinFiveSeconds(t *testing.T) {
	s := newScene()
	expectTold(t, s.pass(30*time.Second), "")
	s.gone[1] = true
	expectTold(t, s.pass(5*time.Second), "4 one-way cloud: nothing arrives any more")
	expectTold(t, s.pass(time.Minute), "")
	s.gone[0] = true
	expectTold(t, s.pass(5*time.Second), "4 no-media both: nothing arrives any more")
	s.gone = [2]bool{}
	expectTold(t, s.pass(10*time.Second), "2  : ")
}

func TestShortGapAndShortReturnAreNotTold(t *testing.T) {
	s := newScene()
	expectTold(t, s.pass(10*time.Second), "")
	for range 5 { // a gap of three seconds, again and again
		s.gone[1] = true
		expectTold(t, s.pass(3*time.Second), "")
		s.gone[1] = false
		expectTold(t, s.pass(3*time.Second), "")
	}
	s.gone[1] = true
	_ = s.pass(10 * time.Second)
	for range 3 { // a second of speech is no cure
		s.gone[1] = false
		expectTold(t, s.pass(time.Second), "")
		s.gone[1] = true
		expectTold(t, s.pass(5*time.Second), "")
	}
}

func TestNothingFromTheStartIsTold(t *testing.T) {
	s := newScene()
	s.gone[0] = true
	expectTold(t, s.pass(5*time.Second), "4 one-way lan: nothing has arrived since the call was answered")
}

func TestSilenceThatWasAgreedIsNoTrouble(t *testing.T) {
	for name, quiet := range map[string]func(*heard){
		"held": func(h *heard) { h.expects = false }, "comfort noise": func(h *heard) { h.Comfort = true },
		"fax": func(h *heard) { h.Fax = true }, "goodbye": func(h *heard) { h.Gone = true },
	} {
		s := newScene()
		_ = s.pass(10 * time.Second)
		quiet(&s.legs[0])
		s.gone[0] = true
		if got := s.pass(time.Minute); got != "" {
			t.Errorf("%s: told %s", name, got)
		}
		s.legs[0].expects, s.legs[0].Comfort, s.legs[0].Fax, s.legs[0].Gone = true, false, false, false
		s.gone[0] = false // it goes on: the silence before counts for nothing
		if got := s.pass(10 * time.Second); got != "" {
			t.Errorf("%s, then on: told %s", name, got)
		}
	}
}

func TestCauseIsWhatIsDroppedInstead(t *testing.T) {
	for r, want := range map[media.Reason]string{
		media.Unauthentic: "what arrives cannot be decrypted: the key is not the agreed one",
		media.Foreign:     "packets come from an address that was not agreed",
		media.Malformed:   "what arrives is no speech of this call",
	} {
		s := newScene()
		_ = s.pass(10 * time.Second)
		s.gone[1] = true
		s.st[1].Dropped, s.instead = map[media.Reason]uint64{}, r
		expectTold(t, s.pass(5*time.Second), "4 one-way cloud: "+want)
	}
}

func TestBadQualityIsToldAndClearedWithPatience(t *testing.T) {
	s := newScene()
	_ = s.pass(11 * time.Second)
	s.lost[1] = 25
	got := strings.Split(s.pass(30*time.Second), " ")
	if !slices.Contains(got[1:], "bad") || !strings.HasSuffix(strings.Join(got, " "), "bad cloud: packets are lost") {
		t.Errorf("told %v", got)
	}
	if v := s.j.state; v.MOS < 2 || v.MOS > 3.6 {
		t.Errorf("%+v", v)
	}
	s.lost[1] = 0
	if got := s.pass(20 * time.Second); !strings.HasSuffix(got, " : ") {
		t.Errorf("told %q", got)
	}
	s.lost[1] = 25 // four seconds of loss are less than two windows
	if got := s.pass(4 * time.Second); got != "" {
		t.Errorf("told %q", got)
	}
	s.lost[1] = 0
	if got := s.pass(30 * time.Second); got != "" {
		t.Errorf("told %q", got)
	}
}

func TestMediaThatStopsIsNews(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		c, _ := outside(t, w)
		w.media.streams[0].heard(100, 0)
		w.media.streams[1].heard(100, 0)
		<-time.After(time.Second)
		w.told()
		w.media.streams[1].heard(101, 20*time.Second)
		<-time.After(5 * time.Second)
		if got := w.told(); got != "media one-way cloud" {
			t.Errorf("told %s", got)
		}
		c.end()
		<-time.After(time.Second)
		if got := w.told(); !strings.Contains(got, "media  cloud") {
			t.Errorf("told %s", got)
		}
	})
}
