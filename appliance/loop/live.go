package loop

import (
	"context"
	"errors"
	"fmt"
)

// Room is a part of the appliance with a life of its own.
type Room interface {
	// Name is the room's name in logs and errors.
	Name() string
	// Run calls ready once it can serve and returns after ctx has ended.
	Run(ctx context.Context, ready func()) error
}

// ErrLeft says that a room ended though nobody had asked it to.
var ErrLeft = errors.New("ended by itself")

// Live runs rooms: up in this order, each one ready before the next starts, and
// down in reverse, each one gone before the one below it is asked to go. It
// goes down when ctx ends or any room does, and returns once all are gone, with
// every room's error. The end of ctx alone is no error.
func Live(ctx context.Context, rooms ...Room) error {
	left := make(chan *tenant, len(rooms))
	var up []*tenant
	var errs []error
	for _, room := range rooms {
		t := move(ctx, room, left)
		up = append(up, t)
		if !t.settle(ctx, left) {
			break
		}
	}
	if len(up) == len(rooms) {
		select {
		case <-ctx.Done():
		case t := <-left:
			left <- t
		}
	}
	asked := ctx.Err() != nil
	for i := len(up) - 1; i >= 0; i-- {
		t := up[i]
		early := t.gone() && !asked
		t.leave()
		<-t.done
		switch {
		case t.err != nil && (early || !onlyCancelled(t.err)):
			errs = append(errs, fmt.Errorf("%s: %w", t.room.Name(), t.err))
		case t.err == nil && early:
			errs = append(errs, fmt.Errorf("%s: %w", t.room.Name(), ErrLeft))
		}
	}
	return errors.Join(errs...)
}

// tenant is a room that was started.
type tenant struct {
	room  Room
	ready chan struct{}
	done  chan struct{}
	leave context.CancelFunc
	err   error // valid once done is closed
}

// move starts a room. Its context outlives ctx, so that the rooms above it can
// go first.
func move(ctx context.Context, room Room, left chan<- *tenant) *tenant {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t := &tenant{room: room, ready: make(chan struct{}), done: make(chan struct{}), leave: cancel}
	once := make(chan struct{}, 1)
	go func() {
		t.err = room.Run(own, func() {
			select {
			case once <- struct{}{}:
				close(t.ready)
			default: // said twice
			}
		})
		close(t.done)
		left <- t
	}()
	return t
}

// settle waits until the room is ready; false when it, or a room below it, or
// ctx ended first.
func (t *tenant) settle(ctx context.Context, left chan *tenant) bool {
	select {
	case <-t.ready:
		return true
	case gone := <-left:
		left <- gone
		return false
	case <-ctx.Done():
		return false
	}
}

func (t *tenant) gone() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// onlyCancelled says whether err tells nothing but that the context ended; an
// error joined to that one is news.
func onlyCancelled(err error) bool {
	switch e := any(err).(type) { // the tree itself is walked, not searched
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if !onlyCancelled(one) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return onlyCancelled(e.Unwrap())
	default:
		return errors.Is(err, context.Canceled)
	}
}
