package event

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// server plays the room and the server of a subscriber.
type server struct {
	s    *Subscriber
	now  time.Time
	wake time.Time
	try  uint64
	log  []string
}

func newServer() *server {
	return &server{s: NewSubscriber(SubscriberConfig{Rand: func() float64 { return 0.5 }}), now: noon}
}

func (v *server) step(in SubscriberInput) {
	for _, e := range v.s.Step(v.now, in) {
		switch e := e.(type) {
		case Subscribe:
			v.try = e.Try
			word := fmt.Sprintf("%v subscribe %v", v.now.Sub(noon), e.Expires)
			if e.Fresh {
				word += " fresh"
			}
			if e.Auth {
				word += " auth"
			}
			v.log = append(v.log, word)
		case WakeAfter:
			v.wake = v.now.Add(e.D)
		case Became:
			v.log = append(v.log, string(e.Standing))
		}
	}
}

func (v *server) answer(a Answer) {
	a.Try = v.try
	v.step(a)
}

func (v *server) pass(d time.Duration) {
	end := v.now.Add(d)
	for range 1000 {
		if v.wake.IsZero() || v.wake.After(end) {
			break
		}
		v.now, v.wake = v.wake, time.Time{}
		v.step(Awake{})
	}
	v.now = end
}

func (v *server) want(t *testing.T, what, want string) {
	t.Helper()
	if got := strings.Join(v.log, ", "); got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
	v.log = nil
}

func active(t *testing.T) *server {
	t.Helper()
	v := newServer()
	v.step(Start{})
	v.pass(0)
	v.answer(Answer{Code: 401})
	v.answer(Answer{Code: 200, Expires: 1000 * time.Second})
	v.want(t, "start", "waiting, asking, 0s subscribe 1h0m0s fresh, 0s subscribe 1h0m0s fresh auth, active")
	return v
}

func TestSubscriptionIsRefreshedInItsDialog(t *testing.T) {
	v := active(t)
	v.pass(850 * time.Second)
	v.want(t, "refresh", "14m10s subscribe 1h0m0s auth")
	v.answer(Answer{Code: 200, Expires: 1000 * time.Second})
	v.step(Notified{State{Value: Active, Expires: 100 * time.Second}})
	v.pass(85 * time.Second)
	v.want(t, "shortened by a notify", "15m35s subscribe 1h0m0s auth")
}

func TestForgottenSubscriptionIsMadeAnew(t *testing.T) {
	v := active(t)
	v.pass(850 * time.Second)
	v.log = nil
	v.answer(Answer{Code: 481})
	v.want(t, "481", "14m10s subscribe 1h0m0s fresh auth")
	v.answer(Answer{Code: 481})
	v.want(t, "481 again", "waiting")
}

func TestServerThatDoesNotWantItIsLeftAlone(t *testing.T) {
	for _, code := range []int{403, 405, 489, 501} {
		v := newServer()
		v.step(Start{})
		v.pass(0)
		v.log = nil
		v.answer(Answer{Code: code})
		v.pass(time.Hour - time.Second)
		v.want(t, "refused", "refused")
		v.pass(time.Second)
		v.want(t, "an hour later", "asking, 1h0m0s subscribe 1h0m0s fresh")
		v.answer(Answer{Code: code, RetryAfter: 5 * time.Hour})
		v.pass(5*time.Hour - time.Second)
		v.want(t, "it named a longer time", "refused")
	}
}

func TestRefusedCredentialsAreNotTriedAgainSoon(t *testing.T) {
	v := newServer()
	v.step(Start{})
	v.pass(0)
	v.answer(Answer{Code: 401})
	v.log = nil
	v.answer(Answer{Code: 401})
	v.pass(time.Hour - time.Second)
	v.want(t, "refused", "refused")
}

func TestTooShortATimeIsMadeLonger(t *testing.T) {
	v := newServer()
	v.step(Start{})
	v.pass(0)
	v.log = nil
	v.answer(Answer{Code: 423, MinExpires: 2 * time.Hour})
	v.want(t, "423", "0s subscribe 2h0m0s fresh")
	v.answer(Answer{Code: 423, MinExpires: time.Minute})
	v.want(t, "a server that contradicts itself", "waiting")
}

func TestSilenceBacksOffAndKeepsWhatStands(t *testing.T) {
	v := active(t)
	v.pass(850 * time.Second)
	v.log = nil
	v.step(Silent{v.try})
	v.pass(5 * time.Second)
	v.want(t, "in the same dialog", "waiting, asking, 14m15s subscribe 1h0m0s auth")
	v.answer(Answer{Code: 503, RetryAfter: 200 * time.Second})
	v.pass(199 * time.Second)
	v.want(t, "retry-after", "waiting")
	v.pass(time.Second)
	v.want(t, "it ran out meanwhile", "asking, 17m35s subscribe 1h0m0s fresh auth")
}

func TestOutageHoldsStillAndTheReturnRefreshes(t *testing.T) {
	v := active(t)
	v.step(Cut{})
	v.pass(900 * time.Second)
	v.want(t, "cut", "")
	v.step(Reachable{time.Second})
	v.pass(time.Second)
	v.want(t, "back", "15m1s subscribe 1h0m0s auth")
	v.answer(Answer{Code: 200, Expires: time.Minute})
	v.step(Cut{})
	v.pass(time.Hour)
	v.step(Reachable{})
	v.pass(0)
	v.want(t, "back too late", "waiting, asking, 1h15m1s subscribe 1h0m0s fresh auth")
}

func TestTerminatedByTheServer(t *testing.T) {
	for _, row := range []struct {
		state State
		after time.Duration
		want  string
	}{
		{State{Reason: Deactivated}, time.Second, "waiting, asking, 2m1s subscribe 1h0m0s fresh auth"},
		{State{Reason: TimedOut}, time.Second, "waiting, asking, 2m1s subscribe 1h0m0s fresh auth"},
		{State{Reason: Probation, After: 30 * time.Second}, 29 * time.Second, "waiting"},
		{State{Reason: Probation, After: 30 * time.Second}, 30 * time.Second, "waiting, asking, 2m30s subscribe 1h0m0s fresh auth"},
		{State{}, 5 * time.Second, "waiting, asking, 2m5s subscribe 1h0m0s fresh auth"},
		{State{Reason: Rejected}, 59 * time.Minute, "refused"},
		{State{Reason: NoResource}, 59 * time.Minute, "refused"},
	} {
		v := active(t)
		v.pass(2 * time.Minute)
		row.state.Value = Terminated
		v.step(Notified{row.state})
		v.pass(row.after)
		v.want(t, fmt.Sprint(row.state), row.want)
	}
}

func TestServerThatEndsAtOnceIsNotHammered(t *testing.T) {
	v := newServer()
	v.step(Start{})
	n := 0
	for end := noon.Add(time.Hour); v.now.Before(end); {
		v.pass(time.Second)
		if v.s.Standing() == Asks {
			n++
			v.answer(Answer{Code: 200, Expires: time.Hour})
			v.step(Notified{State{Value: Terminated, Reason: Deactivated}})
		}
	}
	if n > 15 {
		t.Errorf("asked %d times in an hour", n)
	}
}

func TestLeavingUnsubscribes(t *testing.T) {
	v := active(t)
	v.step(Leave{})
	v.want(t, "leave", "leaving, 0s subscribe 0s auth")
	v.answer(Answer{Code: 200})
	v.want(t, "answer", "gone")
	v = newServer()
	v.step(Leave{})
	v.want(t, "never asked", "gone")
}

// TestSubscriberNeverGetsStuck plays at random: until it is gone, a subscriber
// always waits for an answer, a timer or the path.
func TestSubscriberNeverGetsStuck(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	reasons := []Reason{"", Deactivated, Rejected, Probation, TimedOut}
	codes := []int{200, 200, 401, 403, 423, 481, 489, 500, 503}
	for range 300 {
		v := newServer()
		v.step(Start{})
		for range 60 {
			switch r.IntN(8) {
			case 0, 1, 2:
				v.answer(Answer{Code: codes[r.IntN(len(codes))], Expires: time.Duration(r.IntN(4000)) * time.Second, MinExpires: time.Duration(r.IntN(9000)) * time.Second})
			case 3:
				v.step(Silent{v.try})
			case 4:
				v.step(Notified{State{Value: Terminated, Reason: reasons[r.IntN(len(reasons))]}})
			case 5:
				v.step(Cut{})
			case 6:
				v.step(Reachable{time.Second})
			default:
				v.pass(time.Duration(r.IntN(4000)) * time.Second)
			}
			if v.s.asking == quiet && v.wake.IsZero() && !v.s.cut {
				t.Fatalf("%s waits for nothing after %v", v.s.Standing(), v.log)
			}
		}
	}
}
