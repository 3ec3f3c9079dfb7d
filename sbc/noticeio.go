package sbc

import (
	"time"

	"linekeeper/sbc/dialog"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/sip"
)

// resource is something that phones may watch.
type resource struct {
	pack event.Package
	ext  string
}

// subscription is a phone's, at our end.
type subscription struct {
	token    string
	ext      string // who watches
	what     event.Event
	of       string // the extension that is watched
	device   string // the only one of its devices, where a GRUU is watched; empty: all
	name     string // of what is watched, as the phone called it
	notifier *event.Notifier
	dlg      *dialog.Dialog
	flow     sip.Flow

	shown    []event.Dialog // what a device's watcher was told last
	revived  bool           // it hasn't been told anything since the restart
	sent     uint32         // number of the newest NOTIFY
	reserved uint32         // the saver knows that numbers up to this may be used
	due      time.Time      // when its timer runs out; zero: it has none
	index    int            // in the queue of timers, -1: not there
}

// Subscription is what the saver keeps of a phone's subscription.
type Subscription struct {
	Extension string        `json:"extension"`
	Package   event.Package `json:"package"`
	ID        string        `json:"id,omitempty"`
	Of        string        `json:"of"`
	Device    string        `json:"device,omitempty"`
	Name      string        `json:"name,omitempty"`
	Dialog    dialog.Saved  `json:"dialog"`
	Flow      sip.Flow      `json:"flow"`
	Until     time.Time     `json:"until"`
}

// noticeInput is something that happened to the subscriptions.
type noticeInput interface{ noticeInput() }

type (
	// noticeAsk is a SUBSCRIBE outside of dialogs, proved and understood.
	noticeAsk struct {
		tx      *exchange.Server
		req     *sip.Request
		flow    sip.Flow
		ext, of string
		device  string
		name    string
		what    event.Event
		expires time.Duration
	}
	// noticeAgain is a SUBSCRIBE within one.
	noticeAgain struct {
		tx      *exchange.Server
		req     *sip.Request
		flow    sip.Flow
		ext     string
		token   string
		expires time.Duration
	}
	// noticeTold is what became of a NOTIFY.
	noticeTold struct {
		token string
		seq   uint32
		in    event.NotifierInput
	}
	// noticeBack says that a phone came back on a new flow.
	noticeBack struct {
		ext  string
		flow sip.Flow
	}
	// noticeNews says that something waits to be collected.
	noticeNews struct{}
	// noticeRules says that the configuration has changed.
	noticeRules struct{}
	// noticeDue says that timers ran out.
	noticeDue struct{}
)

func (noticeAsk) noticeInput()   {}
func (noticeAgain) noticeInput() {}
func (noticeTold) noticeInput()  {}
func (noticeBack) noticeInput()  {}
func (noticeNews) noticeInput()  {}
func (noticeRules) noticeInput() {}
func (noticeDue) noticeInput()   {}

// noticeEffect is what the owner has to do: answer, tell, and set the timer.
type noticeEffect struct {
	tx   *exchange.Server
	resp *sip.Response

	token string
	req   *sip.Request
	flow  sip.Flow

	wake time.Duration
}

// timers orders subscriptions by when they are due; container/heap keeps it.
type timers []*subscription

// Len is for the heap.
func (q timers) Len() int { return len(q) }

// Less is for the heap.
func (q timers) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

// Swap is for the heap.
func (q timers) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is for the heap.
func (q *timers) Push(x any) {
	s, _ := x.(*subscription)
	s.index = len(*q)
	*q = append(*q, s)
}

// Pop is for the heap.
func (q *timers) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.index = -1
	return s
}
