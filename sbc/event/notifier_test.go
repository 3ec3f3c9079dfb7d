package event

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// watch plays a notifier and writes down what it sends.
type watch struct {
	n   *Notifier
	now time.Time
	log []string
}

func (w *watch) step(in NotifierInput) {
	if out, ok := w.n.Step(w.now, in); ok {
		body := ""
		if !out.Full {
			body = " empty"
		}
		w.log = append(w.log, fmt.Sprintf("%v %s%s", w.now.Sub(noon), strings.TrimPrefix(out.State.Header().Value(), "active;"), body))
	}
	if w.n.Over() {
		w.log = append(w.log, fmt.Sprintf("%v over", w.now.Sub(noon)))
	}
}

// pass lets time go by, with the timer as the room keeps it.
func (w *watch) pass(d time.Duration) {
	end := w.now.Add(d)
	for range 100 {
		next := w.n.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		w.now = next
		w.step(Due{})
	}
	w.now = end
}

func (w *watch) said() string {
	s := strings.Join(w.log, ", ")
	w.log = nil
	return s
}

func (w *watch) want(t *testing.T, what, want string) {
	t.Helper()
	if got := w.said(); got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func subscribed(t *testing.T, d time.Duration) *watch {
	t.Helper()
	w := &watch{n: NewNotifier(), now: noon}
	w.step(Refresh{d})
	w.step(Answered{Code: 200})
	w.want(t, "first", fmt.Sprintf("0s expires=%d", d/time.Second))
	return w
}

func TestChangesWhileANotifyIsOutAreToldTogether(t *testing.T) {
	w := subscribed(t, time.Hour)
	w.pass(time.Second)
	w.step(Changed{})
	w.want(t, "change", "1s expires=3599")
	w.step(Changed{})
	w.step(Changed{})
	w.step(Refresh{time.Hour})
	w.want(t, "while one is out", "")
	w.step(Answered{Code: 200})
	w.pass(time.Second)
	w.want(t, "after it", "1.1s expires=3599")
	w.step(Answered{Code: 200})
	w.pass(time.Minute)
	w.want(t, "nothing new", "")
}

func TestSubscriptionRunsOut(t *testing.T) {
	w := subscribed(t, time.Minute)
	w.pass(90 * time.Second)
	w.want(t, "end", "1m0s terminated;reason=timeout")
	w.step(Answered{Code: 200})
	w.want(t, "answer", "1m30s over")
}

func TestUnsubscribeAndFetchGetOneLastNotify(t *testing.T) {
	w := subscribed(t, time.Minute)
	w.pass(time.Second)
	w.step(Refresh{0})
	if !w.n.Ending() {
		t.Error("it can still be refreshed")
	}
	w.want(t, "unsubscribe", "1s terminated;reason=timeout")
	w.step(Answered{Code: 481})
	w.want(t, "answer", "1s over")

	w = &watch{n: NewNotifier(), now: noon}
	w.step(Refresh{0})
	w.step(Answered{Code: 200})
	w.want(t, "fetch", "0s terminated;reason=timeout, 0s over")
}

func TestUnsubscribeWhileANotifyIsOutWaitsForItsAnswer(t *testing.T) {
	w := subscribed(t, time.Minute)
	w.pass(time.Second)
	w.step(Changed{})
	w.step(End{NoResource})
	w.want(t, "out", "1s expires=59")
	w.step(Answered{Code: 200})
	w.pass(time.Second)
	w.want(t, "end", "1.1s terminated;reason=noresource empty")
	w.step(Unanswered{})
	w.want(t, "silence", "2s over")
}

func TestRefusedNotify(t *testing.T) {
	for _, row := range []struct {
		name string
		in   NotifierInput
		want string
	}{
		{"unknown dialog", Answered{Code: 481}, "over"},
		{"no answer", Unanswered{}, "over"},
		{"bad event", Answered{Code: 489}, "over"},
		{"challenge", Answered{Code: 401}, "over"},
		{"provisional", Answered{Code: 100}, "40s over"},
		{"overload", Answered{Code: 503, RetryAfter: 7 * time.Second}, "7s expires=3593"},
		{"server error", Answered{Code: 500}, "5s expires=3595"},
		{"connection", Broken{}, "30s expires=3570"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := &watch{n: NewNotifier(), now: noon}
			w.step(Refresh{time.Hour})
			w.said()
			w.step(row.in)
			w.pass(41 * time.Second)
			if got := w.said(); got != row.want && got != "0s "+row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestServerErrorsWithoutEndAreGivenUp(t *testing.T) {
	w := &watch{n: NewNotifier(), now: noon}
	w.step(Refresh{time.Hour})
	for range maxFailed + 1 {
		w.step(Answered{Code: 500})
		w.pass(again)
	}
	w.want(t, "in all", "0s expires=3600, 5s expires=3595, 10s expires=3590, 15s expires=3585, 15s over")
}

func TestBrokenConnectionWaitsForThePhone(t *testing.T) {
	w := subscribed(t, time.Minute)
	w.pass(time.Second)
	w.step(Changed{})
	w.step(Broken{})
	w.said()
	w.step(Changed{})
	w.want(t, "while it is gone", "")
	w.step(Back{})
	w.want(t, "back", "1s expires=59")
	w.step(Broken{})
	w.step(End{Deactivated})
	w.want(t, "nobody to tell", "1s over")
}

func TestRevivedSubscriptionTellsHowThingsStand(t *testing.T) {
	w := &watch{n: Revive(noon.Add(time.Minute)), now: noon}
	w.step(Changed{})
	w.want(t, "revived", "0s expires=60")
	w = &watch{n: Revive(noon), now: noon.Add(time.Hour)}
	w.step(Due{})
	w.want(t, "too late", "1h0m0s terminated;reason=timeout")
}
