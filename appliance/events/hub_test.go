package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"unicode/utf8"
)

func publish(h *Hub, n int) {
	for i := range n {
		h.Publish(Event{Kind: Registration, Text: fmt.Sprint(i)})
	}
}

func TestSequenceNumbersRiseFromTheFirst(t *testing.T) {
	h := New(4, 1000)
	if got := h.Newest(); got != 999 {
		t.Errorf("newest of an empty hub is %d, want 999", got)
	}
	if a, b := h.Publish(Event{}), h.Publish(Event{}); a != 1000 || b != 1001 {
		t.Errorf("sequence %d, %d, want 1000, 1001", a, b)
	}
	if e := h.Last(1)[0]; e.Time.IsZero() || e.Severity != Info {
		t.Errorf("time or severity missing: %+v", e)
	}
}

func TestFollowerReplaysWhatIsKeptAfterItsNumber(t *testing.T) {
	h := New(8, 1)
	publish(h, 5)
	f := h.Follow(3)
	for want := uint64(4); want <= 5; want++ {
		e, missed, ok := f.Try()
		if !ok || missed != 0 || e.Seq != want {
			t.Fatalf("got %d (missed %d, %v), want %d", e.Seq, missed, ok, want)
		}
	}
	if e, _, ok := f.Try(); ok {
		t.Errorf("one event too many: %+v", e)
	}
}

func TestSlowFollowerIsToldWhatItMissed(t *testing.T) {
	h := New(4, 1)
	f := h.Follow(0)
	publish(h, 10)
	e, missed, ok := f.Try()
	if !ok || missed != 6 || e.Seq != 7 {
		t.Errorf("got seq %d, missed %d; want seq 7, missed 6", e.Seq, missed)
	}
	if _, missed, _ = f.Try(); missed != 0 {
		t.Errorf("missed %d told twice", missed)
	}
}

func TestNumberFromAnotherRunGetsAllThatIsKept(t *testing.T) {
	h := New(4, 1)
	publish(h, 2)
	if e, _, ok := h.Follow(77).Try(); !ok || e.Seq != 1 {
		t.Errorf("got %+v, want seq 1", e)
	}
	if _, _, ok := h.Follow(h.Newest()).Try(); ok {
		t.Error("a follower of the newest saw an old event")
	}
}

func TestLastGivesTheNewestInOrder(t *testing.T) {
	h := New(4, 1)
	publish(h, 9)
	for _, tc := range []struct {
		n           int
		first, size uint64
	}{{2, 8, 2}, {4, 6, 4}, {100, 6, 4}, {0, 0, 0}, {-3, 0, 0}} {
		got := h.Last(tc.n)
		if uint64(len(got)) != tc.size || (tc.size > 0 && got[0].Seq != tc.first) {
			t.Errorf("Last(%d) = %v", tc.n, got)
		}
	}
}

func TestEveryWaitingFollowerWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(4, 1)
		var all sync.WaitGroup
		for range 50 {
			f := h.Follow(0)
			all.Go(func() {
				for want := uint64(1); want <= 2; want++ {
					if e, _, err := f.Next(t.Context()); err != nil || e.Seq != want {
						t.Errorf("got %d, %v; want %d", e.Seq, err, want)
					}
				}
			})
		}
		synctest.Wait()
		h.Publish(Event{})
		synctest.Wait()
		h.Publish(Event{})
		all.Wait()
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, _, err := New(4, 1).Follow(0).Next(ctx)
			done <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhatStrangersSendIsCut(t *testing.T) {
	h := New(4, 1)
	attrs := map[string]string{"k": strings.Repeat("ü", MaxAttribute)}
	for i := range 3 * MaxAttributes {
		attrs[fmt.Sprint(i)] = "v"
	}
	h.Publish(Event{Text: "x" + strings.Repeat("ü", MaxText), Attributes: attrs})
	e := h.Last(1)[0]
	if len(e.Text) > MaxText || !utf8.ValidString(e.Text) {
		t.Errorf("text of %d octets, valid %v", len(e.Text), utf8.ValidString(e.Text))
	}
	if len(e.Attributes) > MaxAttributes {
		t.Errorf("%d attributes", len(e.Attributes))
	}
	attrs["later"] = "changed"
	if _, ok := h.Last(1)[0].Attributes["later"]; ok {
		t.Error("the event shares its map with the publisher")
	}
}

func TestPublishersAndFollowersDoNotRace(t *testing.T) {
	h := New(64, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	for range 4 {
		f := h.Follow(0)
		readers.Go(func() {
			var last uint64
			for {
				e, missed, err := f.Next(ctx)
				if err != nil {
					return
				}
				if e.Seq != last+missed+1 {
					t.Errorf("seq %d after %d with %d missed", e.Seq, last, missed)
				}
				last = e.Seq
			}
		})
	}
	for range 4 {
		writers.Go(func() { publish(h, 2000) })
	}
	writers.Wait()
	cancel()
	readers.Wait()
	if h.Newest() != 8000 {
		t.Errorf("newest %d", h.Newest())
	}
}
