package loop_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/appliance/loop"
)

// echo is a machine whose effects are its inputs.
type echo struct{}

func (echo) Step(_ time.Time, in string) []string { return []string{in} }

// diary is a machine that says when what came in.
type diary struct{ began time.Time }

func (d *diary) Step(now time.Time, in string) []string {
	if d.began.IsZero() {
		d.began = now
	}
	return []string{fmt.Sprintf("%v %s", now.Sub(d.began), in)}
}

func TestEffectsArePerformedInOrderOfInputs(t *testing.T) {
	const n = 1000
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	l := loop.New(echo{}, n, func(_ context.Context, _ *loop.Timers[string], e string) []string {
		if got = append(got, e); len(got) == n {
			cancel()
		}
		return nil
	})
	for i := range n {
		if err := l.Post(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i, e := range got {
		if e != fmt.Sprint(i) {
			t.Fatalf("effect %d is %s", i, e)
		}
	}
}

func TestPostNeverBlocksAndSaysBusyWhenFull(t *testing.T) {
	l := loop.New(echo{}, 2, func(context.Context, *loop.Timers[string], string) []string { return nil })
	for i := range 2 {
		if err := l.Post("x"); err != nil {
			t.Fatalf("post %d: %v", i, err)
		}
	}
	if err := l.Post("x"); !errors.Is(err, loop.ErrBusy) {
		t.Fatalf("third post into an inbox of two: %v", err)
	}
	if l.Waiting() != 2 {
		t.Fatalf("%d are waiting", l.Waiting())
	}
}

func TestInputsOfPerformComeBeforeTheInbox(t *testing.T) {
	var got []string
	l := loop.New(echo{}, 4, func(_ context.Context, tm *loop.Timers[string], e string) []string {
		got = append(got, e)
		switch e {
		case "first":
			return []string{"child 1", "child 2"}
		case "child 1":
			return []string{"grandchild"}
		case "second":
			tm.End()
		}
		return nil
	})
	_ = l.Post("first")
	_ = l.Post("second")
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"first", "child 1", "child 2", "grandchild", "second"}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if err := l.Post("late"); !errors.Is(err, loop.ErrEnded) {
		t.Fatalf("post to an ended owner: %v", err)
	}
}

func TestMachineThatFeedsItselfIsStopped(t *testing.T) {
	l := loop.New(echo{}, 1, func(_ context.Context, _ *loop.Timers[string], e string) []string { return []string{e} })
	_ = l.Post("again")
	if err := l.Run(t.Context()); !errors.Is(err, loop.ErrSpins) {
		t.Fatalf("got %v", err)
	}
}

func TestTimersFireInOrderAndOnlyTheNewestShot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		l := loop.New(&diary{}, 4, func(_ context.Context, tm *loop.Timers[string], e string) []string {
			got = append(got, e)
			switch e {
			case "0s start":
				tm.Arm("long", time.Hour, "long")
				tm.Arm("a", time.Second, "stale")
				tm.Arm("gone", 2*time.Second, "gone")
				tm.Arm("a", 3*time.Second, "a")
				tm.Arm("b", 3*time.Second+time.Millisecond, "b")
			case "3s a":
				tm.Disarm("gone")
				tm.Disarm("never armed")
				tm.Arm("long", 90*time.Minute, "longer")
			case "1h30m3s longer":
				if tm.Armed("long") || tm.Armed("b") {
					t.Error("a timer that went off is still armed")
				}
				tm.End()
			}
			return nil
		})
		_ = l.Post("start")
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"0s start", "2s gone", "3s a", "3.001s b", "1h30m3s longer"}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q\nwant %q", got, want)
		}
	})
}

func TestTimerDisarmedByAnotherAtTheSameInstantDoesNotFire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		l := loop.New(&diary{}, 4, func(_ context.Context, tm *loop.Timers[string], e string) []string {
			got = append(got, e)
			switch e {
			case "0s start":
				tm.Arm("a", time.Second, "a")
				tm.Arm("b", time.Second, "b")
				tm.Arm("end", 2*time.Second, "end")
			case "1s a":
				tm.Disarm("b")
			case "1s b":
				tm.Disarm("a")
			case "2s end":
				tm.End()
			}
			return nil
		})
		_ = l.Post("start")
		if err := l.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 {
			t.Fatalf("both of two timers fired though each disarms the other: %q", got)
		}
	})
}

func TestPanicEndsTheOwnerWithAReportAndNotTheProcess(t *testing.T) {
	cause := errors.New("cause")
	l := loop.New(echo{}, 1, func(context.Context, *loop.Timers[string], string) []string { panic(cause) })
	_ = l.Post("x")
	err := l.Run(t.Context())
	var p *loop.Panic
	if !errors.As(err, &p) {
		t.Fatalf("got %v", err)
	}
	if p.Input != "string" || len(p.Stack) == 0 || !errors.Is(err, cause) {
		t.Fatalf("input %q, %d octets of stack, %v", p.Input, len(p.Stack), err)
	}
	if err := l.Post("x"); !errors.Is(err, loop.ErrEnded) {
		t.Fatalf("post to a dead owner: %v", err)
	}
}

func TestEndOfContextSaysNothingToTheMachine(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := loop.New(echo{}, 1, func(context.Context, *loop.Timers[string], string) []string { return nil })
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestManyPostersLoseNothingThatWasAccepted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen int
	all := make(chan struct{})
	const posters, each = 8, 2000
	l := loop.New(echo{}, 64, func(context.Context, *loop.Timers[string], string) []string {
		if seen++; seen == posters*each {
			close(all)
		}
		return nil
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	var ps sync.WaitGroup
	for range posters {
		ps.Go(func() {
			for n := 0; n < each; {
				if l.Post("x") == nil {
					n++
				}
			}
		})
	}
	ps.Wait()
	<-all
	cancel()
	wg.Wait()
}

func BenchmarkPostAndStep(b *testing.B) {
	done := make(chan struct{}, 1)
	l := loop.New(silent{}, 1024, func(context.Context, *loop.Timers[int], int) []int { done <- struct{}{}; return nil })
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	b.ReportAllocs()
	for b.Loop() {
		for l.Post(1) != nil {
		}
	}
	for l.Post(0) != nil {
	}
	<-done
	cancel()
	wg.Wait()
}

// silent has an effect only for 0.
type silent struct{}

func (silent) Step(_ time.Time, in int) []int {
	if in == 0 {
		return []int{0}
	}
	return nil
}

func BenchmarkOwnerBornAndEnded(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		l := loop.New(silent{}, 64, func(_ context.Context, tm *loop.Timers[int], _ int) []int { tm.End(); return nil })
		_ = l.Post(0)
		_ = l.Run(b.Context())
	}
}

func BenchmarkRearm(b *testing.B) {
	n := 0
	var l *loop.Loop[int, int]
	l = loop.New(always{}, 4, func(_ context.Context, tm *loop.Timers[int], _ int) []int {
		tm.Arm("session", time.Minute, 1)
		tm.Arm("ring", time.Hour, 1)
		if n++; n >= b.N {
			tm.End()
		}
		_ = l.Post(1)
		return nil
	})
	_ = l.Post(1)
	b.ReportAllocs()
	_ = l.Run(b.Context())
}

type always struct{}

func (always) Step(_ time.Time, in int) []int { return one[:] }

var one = [1]int{1}
