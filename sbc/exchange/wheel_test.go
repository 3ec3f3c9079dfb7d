package exchange

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/txn"
)

// sleeper is a machine that writes down when it is woken.
type sleeper struct {
	woken []time.Time
}

func (s *sleeper) Step(in txn.Input, out []txn.Effect) []txn.Effect {
	if in.What == txn.Woken {
		s.woken = append(s.woken, time.Now())
	}
	return out
}
func (*sleeper) State() txn.State { return txn.Proceeding }
func (*sleeper) Settled() bool    { return false }

func newSleeper(x *Exchange) (*tx, *sleeper) {
	s := &sleeper{}
	return &tx{x: x, machine: s}, s
}

func (t *tx) sleep(d time.Duration) {
	t.mu.Lock()
	t.armLocked(d)
	t.mu.Unlock()
}

func (t *tx) rest() {
	t.mu.Lock()
	t.restLocked()
	t.mu.Unlock()
}

func TestWheelWakesWithinATickAndNeverEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _ := start(t, 0)
		r := rand.New(rand.NewPCG(1, 2))
		type wish struct {
			s     *sleeper
			at    time.Time
			never bool
		}
		var wishes []*wish
		for range 2000 {
			tx, s := newSleeper(x)
			d := time.Duration(r.Int64N(int64(90 * time.Second))) // beyond the wheel's reach too
			if r.IntN(4) == 0 {
				tx.sleep(time.Duration(r.Int64N(int64(time.Minute)))) // changed below
			}
			tx.sleep(d)
			w := &wish{s: s, at: time.Now().Add(d)}
			if w.never = r.IntN(5) == 0; w.never {
				tx.rest()
			}
			wishes = append(wishes, w)
			time.Sleep(time.Duration(r.Int64N(int64(30 * time.Millisecond))))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for i, w := range wishes {
			switch {
			case w.never && len(w.s.woken) > 0:
				t.Fatalf("sleeper %d was woken though its wish was taken back", i)
			case w.never:
			case len(w.s.woken) != 1:
				t.Fatalf("sleeper %d was woken %d times", i, len(w.s.woken))
			case w.s.woken[0].Before(w.at), w.s.woken[0].Sub(w.at) >= wheelTick:
				t.Fatalf("sleeper %d was woken %v after it was due", i, w.s.woken[0].Sub(w.at))
			}
		}
		if x.wheel.next != 0 || x.wheel.aheadLocked() != 0 {
			t.Error("an empty wheel goes on turning")
		}
	})
}

func TestWheelThatStoodStillForHoursGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _ := start(t, 0)
		tx, s := newSleeper(x)
		for _, d := range []time.Duration{time.Second, 0, 41 * time.Second, wheelSlots * wheelTick, time.Nanosecond} {
			time.Sleep(5*time.Hour + 7*time.Millisecond)
			synctest.Wait()
			s.woken = nil
			at := time.Now().Add(d)
			tx.sleep(d)
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(s.woken) != 1 || s.woken[0].Before(at) || s.woken[0].Sub(at) >= wheelTick {
				t.Errorf("after %v: %v, due %v", d, s.woken, at)
			}
		}
	})
}

func TestSleeperMayArmItselfAnewAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _, _ := start(t, 0)
		tx, s := newSleeper(x)
		other, o := newSleeper(x)
		other.sleep(wheelTick * 3)
		for i := range 100 {
			tx.sleep(time.Duration(i%3) * wheelTick)
			time.Sleep(3 * wheelTick)
		}
		synctest.Wait()
		if len(s.woken) != 100 || len(o.woken) != 1 {
			t.Errorf("woken %d times of 100, the other %d", len(s.woken), len(o.woken))
		}
	})
}
