package loop_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/appliance/loop"
)

// journal notes what happened to rooms, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

func (j *journal) text() string { return strings.Join(j.lines, " ") }

type room struct {
	*journal
	name  string
	slow  time.Duration // until ready
	lives time.Duration // until it ends by itself; 0: for ever
	err   error
	never bool // never becomes ready
}

func (r room) Name() string { return r.name }

func (r room) Run(ctx context.Context, ready func()) error {
	r.note("+" + r.name)
	defer r.note("-" + r.name)
	time.Sleep(r.slow)
	if !r.never {
		ready()
		ready() // saying it twice does no harm
	}
	if r.lives > 0 {
		time.Sleep(r.lives)
		return r.err
	}
	<-ctx.Done()
	return errors.Join(r.err, ctx.Err())
}

func TestRoomsGoUpInOrderAndDownInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := loop.Live(ctx, room{journal: j, name: "store", slow: 3 * time.Second}, room{journal: j, name: "net"}, room{journal: j, name: "sbc"})
		if err != nil {
			t.Errorf("the end of ctx is no error: %v", err)
		}
		if want := "+store +net +sbc -sbc -net -store"; j.text() != want {
			t.Errorf("got %s\nwant %s", j.text(), want)
		}
	})
}

func TestRoomThatFailsTakesTheHouseDownInOrderWithItsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		broken := errors.New("disk is gone")
		err := loop.Live(t.Context(), room{journal: j, name: "store"}, room{journal: j, name: "net", lives: time.Second, err: broken}, room{journal: j, name: "sbc"})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "net: disk is gone") {
			t.Errorf("got %v", err)
		}
		if want := "+store +net +sbc -net -sbc -store"; j.text() != want {
			t.Errorf("got %s\nwant %s", j.text(), want)
		}
	})
}

func TestRoomThatLeavesWithoutAnErrorIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := loop.Live(t.Context(), room{journal: &journal{}, name: "net", lives: time.Second})
		if !errors.Is(err, loop.ErrLeft) {
			t.Errorf("got %v", err)
		}
	})
}

func TestRoomThatNeverIsReadyKeepsTheOnesAboveDownAndCanBeStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := loop.Live(ctx, room{journal: j, name: "store", never: true}, room{journal: j, name: "net"}); err != nil {
			t.Error(err)
		}
		if want := []string{"+store", "-store"}; !reflect.DeepEqual(j.lines, want) {
			t.Errorf("got %q", j.lines)
		}
	})
}

func TestErrorOnTheWayDownIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("could not sync")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := loop.Live(ctx, room{journal: &journal{}, name: "store", err: lost})
		if !errors.Is(err, lost) {
			t.Errorf("an error that came with the end of ctx was swallowed: %v", err)
		}
	})
}
