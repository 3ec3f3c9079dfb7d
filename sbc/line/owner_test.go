package line_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/line"
)

// TestLineIsRefreshedBeforeItsExpiryForHours lives through a day in no time:
// each REGISTER at 85 % of what was granted, keep-alives between, silence at
// the end of ctx.
func TestLineIsRefreshedBeforeItsExpiryForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var asked []time.Duration
		pings, bound := 0, 0
		m := line.New(line.Config{Targets: 1, Expires: time.Hour, NATRefresh: 25 * time.Second, Rand: func() float64 { return 0.5 }})
		owner := loop.New(m, 16, func(_ context.Context, tm *loop.Timers[line.Input], e line.Effect) []line.Input {
			switch e := e.(type) {
			case line.Register:
				asked = append(asked, time.Since(began))
				return []line.Input{line.Answer{Try: e.Try, Code: 200, Expires: e.Expires}}
			case line.WakeAfter:
				tm.Arm("wake", e.D, line.Due{})
			case line.Sleep:
				tm.Disarm("wake")
			case line.PingAfter:
				tm.Arm("ping", e.D, line.PingDue{})
			case line.Ping:
				pings++
			case line.Became:
				if e.State == line.Bound {
					bound++
				}
			}
			return nil
		})
		_ = owner.Post(line.Start{Delay: 300 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		if err := owner.Run(ctx); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{300 * time.Millisecond, 51*time.Minute + 300*time.Millisecond, 102*time.Minute + 300*time.Millisecond, 153*time.Minute + 300*time.Millisecond}
		if len(asked) != len(want) {
			t.Fatalf("asked at %v", asked)
		}
		for i := range want {
			if asked[i] != want[i] {
				t.Errorf("asked at %v, want %v", asked[i], want[i])
			}
		}
		if pings != 431 || bound != 1 {
			t.Errorf("%d keep-alives, became bound %d times", pings, bound)
		}
	})
}
