package loop_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/appliance/loop"
)

// resting makes an owner of an echo that does what do says of each effect.
func resting(t *testing.T, crew *loop.Crew, depth int, do func(tm *loop.Timers[string], e string) []string) (l *loop.Resting[string, string], over chan error) {
	over = make(chan error, 2) // a second end must be seen
	l = loop.NewResting(nil, crew, echo{}, depth, func(_ context.Context, tm *loop.Timers[string], e string) []string { return do(tm, e) },
		func(err error) { over <- err })
	return l, over
}

func TestRestingStepsInOrderWhatCameBeforeAndAfterTheStart(t *testing.T) {
	crew := loop.NewCrew(2)
	defer crew.Close()
	const n = 1000
	var got []string
	l, over := resting(t, crew, n, func(tm *loop.Timers[string], e string) []string {
		if got = append(got, e); len(got) == n {
			tm.End()
		}
		return nil
	})
	for i := range n {
		if i == n/2 {
			l.Start(t.Context())
		}
		if err := l.Post(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	for i, e := range got {
		if e != fmt.Sprint(i) {
			t.Fatalf("effect %d is %s", i, e)
		}
	}
	if err := l.Post("late"); !errors.Is(err, loop.ErrEnded) {
		t.Errorf("post to an ended owner: %v", err)
	}
	if n := l.Waiting(); n != 0 {
		t.Errorf("%d wait for an owner that has ended", n)
	}
}

func TestRestingSaysBusyWhenFull(t *testing.T) {
	crew := loop.NewCrew(2)
	defer crew.Close()
	l, _ := resting(t, crew, 2, func(*loop.Timers[string], string) []string { return nil })
	for i := range 2 {
		if err := l.Post("x"); err != nil {
			t.Fatalf("post %d: %v", i, err)
		}
	}
	if err := l.Post("x"); !errors.Is(err, loop.ErrBusy) || l.Waiting() != 2 {
		t.Fatalf("third post into an inbox of two: %v, %d wait", err, l.Waiting())
	}
}

func TestRestingHasNoGoroutineBetweenItsInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keep = 3
		crew := loop.NewCrew(keep)
		before := runtime.NumGoroutine()
		var got []string
		began := time.Now()
		var owners []*loop.Resting[string, string]
		for range 100 {
			l, _ := resting(t, crew, 4, func(tm *loop.Timers[string], e string) []string {
				if e == "begin" {
					tm.Arm("later", time.Minute, "minute")
				}
				return nil
			})
			l.Start(t.Context())
			owners = append(owners, l)
		}
		one, over := resting(t, crew, 4, func(tm *loop.Timers[string], e string) []string {
			got = append(got, fmt.Sprint(time.Since(began), " ", e))
			switch e {
			case "begin":
				tm.Arm("b", 2*time.Hour, "two hours")
				tm.Arm("a", time.Hour, "stale")
				tm.Arm("a", time.Hour+time.Second, "hour")
				return []string{"fed back"}
			case "hour":
				tm.Arm("c", 0, "at once")
			case "two hours":
				tm.End()
			}
			return nil
		})
		one.Start(t.Context())
		for _, l := range append(owners, one) {
			_ = l.Post("begin")
		}
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > before+keep {
			t.Errorf("%d goroutines while everybody rests, %d before", n, before)
		}
		if err := <-over; err != nil {
			t.Fatal(err)
		}
		want := []string{"0s begin", "0s fed back", "1h0m1s hour", "1h0m1s at once", "2h0m0s two hours"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		crew.Close()
		synctest.Wait()
		if n := runtime.NumGoroutine(); n != before {
			t.Errorf("%d goroutines when the crew went home, %d before", n, before)
		}
	})
}

func TestRestingEndsOnceWhateverEndsIt(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(l *loop.Resting[string, string])
		good func(err error) bool
	}{
		{"a panic", func(l *loop.Resting[string, string]) { _ = l.Post("panic") }, func(err error) bool {
			var p *loop.Panic
			return errors.As(err, &p) && p.Value == "no" && p.Input == "string"
		}},
		{"itself", func(l *loop.Resting[string, string]) { _ = l.Post("spin") }, func(err error) bool { return errors.Is(err, loop.ErrSpins) }},
		{"its wish", func(l *loop.Resting[string, string]) { _ = l.Post("end") }, func(err error) bool { return err == nil }},
		{"a stop", func(l *loop.Resting[string, string]) { l.Stop() }, func(err error) bool { return err == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				crew := loop.NewCrew(2)
				defer crew.Close()
				l, over := resting(t, crew, 8, func(tm *loop.Timers[string], e string) []string {
					switch e {
					case "panic":
						panic("no")
					case "spin":
						return []string{e}
					case "end":
						tm.End()
					case "arm":
						tm.Arm("x", time.Second, "never")
					case "never":
						t.Error("a timer of an ended owner")
					}
					return nil
				})
				l.Start(t.Context())
				_ = l.Post("arm")
				synctest.Wait()
				c.end(l)
				if err := <-over; !c.good(err) {
					t.Errorf("ended with %v", err)
				}
				l.Stop()
				time.Sleep(time.Minute)
				if len(over) > 0 || !errors.Is(l.Post("late"), loop.ErrEnded) {
					t.Errorf("told %d times more", len(over))
				}
			})
		})
	}
}

func TestRestingStoppedBeforeItsStartSaysNothingToTheMachine(t *testing.T) {
	crew := loop.NewCrew(2)
	defer crew.Close()
	l, over := resting(t, crew, 8, func(_ *loop.Timers[string], e string) []string {
		t.Errorf("stepped %s", e)
		return nil
	})
	_ = l.Post("x")
	l.Stop()
	l.Start(t.Context())
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestRestingLosesNothingOfManyPosters(t *testing.T) {
	crew := loop.NewCrew(2)
	defer crew.Close()
	const posters, each = 8, 2000
	var n int // no lock: the owner is one at a time
	done := make(chan struct{})
	l, _ := resting(t, crew, 16, func(*loop.Timers[string], string) []string {
		if n++; n == posters*each {
			close(done)
		}
		return nil
	})
	l.Start(t.Context())
	var wg sync.WaitGroup
	for range posters {
		wg.Go(func() {
			for i := 0; i < each; {
				switch err := l.Post("x"); {
				case err == nil:
					i++
				case errors.Is(err, loop.ErrBusy):
					runtime.Gosched()
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	<-done
}
