package records

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// Record is what is kept of one call. It never changes once kept.
type Record struct {
	// Seq rises by one with every record kept.
	Seq uint64 `json:"seq" doc:"rises by one with every record"`
	// ID is the call's name, the same as in events and traces.
	ID       string    `json:"id" doc:"the appliance's name of the call"`
	Began    time.Time `json:"began" doc:"when the caller dialled"`
	Answered time.Time `json:"answered,omitzero" doc:"when it was answered; absent: never"`
	Ended    time.Time `json:"ended" doc:"when it was over"`
	// Talked is from the answer to the end, in whole seconds.
	Talked int64  `json:"talked_s" doc:"seconds from answer to end"`
	From   string `json:"from" doc:"caller's number or extension; empty: withheld"`
	To     string `json:"to" doc:"what was dialled"`
	Callee string `json:"callee,omitempty" doc:"who rang or answered"`
	Line   string `json:"line,omitempty" doc:"cloud account that carried it"`
	Route  string `json:"route" enum:"internal,cloud,gateway" doc:"which way it went"`
	Mode   string `json:"mode" doc:"mode that the call was born in"`
	// Blame and Reason say why it ended, Code is the SIP code the caller was given.
	Blame  string `json:"blame" doc:"who ended it: caller, callee, cloud, us, unknown"`
	Code   int    `json:"code" doc:"SIP code of the end; 200: after a conversation"`
	Reason string `json:"reason" doc:"why, in words"`
	// Cause is the telephone network's own word for the end, Session the call's name
	// from end to end.
	Cause   int    `json:"cause,omitempty" doc:"Q.850 cause that the other side gave; absent: none"`
	Session string `json:"session,omitempty" doc:"UUID of the caller's end (RFC 7989), the same in the provider's logs"`
	// Quality of what the caller and the callee sent us; absent without speech.
	CallerMOS float64 `json:"caller_mos,omitempty" doc:"estimated quality of the caller's speech, 1 to 4.5"`
	CalleeMOS float64 `json:"callee_mos,omitempty" doc:"estimated quality of the callee's speech, 1 to 4.5"`
	Lost      uint64  `json:"lost,omitempty" doc:"RTP packets that never came, both directions"`
}

// File is where records go; *store.File is one.
type File interface {
	AppendAll(bucket string, values [][]byte) (last uint64, err error)
	Range(bucket string, from uint64, limit int, use func(n uint64, value []byte) error) error
	DropThrough(bucket string, n uint64) error
}

const (
	bucket = "cdr"
	// depth bounds the records that wait for the disk.
	depth = 4096
	// Kept bounds the records on disk; the oldest go first.
	Kept = 100_000
	// page is how many records one read takes.
	page = 1000
	// together is how long records wait for others to share a transaction.
	together = 100 * time.Millisecond
)

// Book keeps call records.
type Book struct {
	file File
	log  *slog.Logger
	in   chan Record
	fail func(error)

	written int // since the oldest were dropped; belongs to Run's goroutine
}

// New makes a book over a file. fail is told when the disk refuses (nil: all is
// well again); it must not block.
func New(file File, log *slog.Logger, fail func(error)) *Book {
	return &Book{file: file, log: log, in: make(chan Record, depth), fail: fail}
}

// Name is the room's name.
func (b *Book) Name() string { return "records" }

// Keep hands in a finished record. It never blocks; with a disk that has stood
// still for thousands of calls the record is lost and that is logged.
func (b *Book) Keep(r Record) {
	select {
	case b.in <- r:
	default:
		b.log.Error("call record lost: the disk doesn't keep up", "call", r.ID)
	}
}

// Run writes until ctx ends, and then what still waits. Records that come within
// a tenth of a second share a transaction.
func (b *Book) Run(ctx context.Context, ready func()) error {
	ready()
	for {
		select {
		case r := <-b.in:
			b.write(ctx, b.gather(ctx, r))
		case <-ctx.Done():
			for len(b.in) > 0 {
				b.write(ctx, b.gather(ctx, <-b.in))
			}
			return nil
		}
	}
}

// gather collects what comes with r, for a tenth of a second or until ctx ends.
func (b *Book) gather(ctx context.Context, r Record) []Record {
	all := []Record{r}
	t := time.NewTimer(together)
	defer t.Stop()
	for len(all) < page {
		select {
		case r := <-b.in:
			all = append(all, r)
			continue
		default:
		}
		select {
		case r := <-b.in:
			all = append(all, r)
		case <-t.C:
			return all
		case <-ctx.Done():
			return all
		}
	}
	return all
}

// write keeps records; a disk that refuses is asked again each second until it
// takes them or the box goes down.
func (b *Book) write(ctx context.Context, all []Record) {
	failing := false
	for {
		err := b.put(all)
		if err == nil {
			if failing {
				b.fail(nil)
			}
			return
		}
		if !failing {
			b.fail(err)
			b.log.Error("call records not kept, trying again", "count", len(all), "err", err)
			failing = true
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func (b *Book) put(all []Record) error {
	values := make([][]byte, 0, len(all))
	for _, r := range all {
		raw, err := json.Marshal(r)
		if err != nil {
			return err
		}
		values = append(values, raw)
	}
	n, err := b.file.AppendAll(bucket, values)
	if err != nil {
		return err
	}
	if b.written += len(all); n > Kept && b.written >= page {
		b.written = 0
		return b.file.DropThrough(bucket, n-Kept)
	}
	return nil
}

// Each reads the records from number from on, oldest first, until use returns false.
func (b *Book) Each(from uint64, use func(Record) bool) error {
	for {
		count, last, stop := 0, from, false
		err := b.file.Range(bucket, from, page, func(n uint64, raw []byte) error {
			count++
			last = n
			var r Record
			if err := json.Unmarshal(raw, &r); err != nil {
				return fmt.Errorf("call record %d: %w", n, err)
			}
			r.Seq = n
			stop = stop || !use(r)
			return nil
		})
		if err != nil || stop || count < page {
			return err
		}
		from = last + 1
	}
}
