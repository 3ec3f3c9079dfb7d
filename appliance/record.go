package appliance

import (
	"sync"
	"time"

	"linekeeper/appliance/records"
	"linekeeper/sbc"
	"linekeeper/sbc/media"
)

// recorder is the news that also keeps a record of every call, with the mode
// that the call was born in.
type recorder struct {
	phoneNews
	book *records.Book
	mode func() string

	mu     sync.Mutex
	births map[string]string // mode by call; bounded by the calls that are up
}

func newRecorder(n phoneNews, book *records.Book, mode func() string) *recorder {
	return &recorder{phoneNews: n, book: book, mode: mode, births: make(map[string]string)}
}

// CallChanged notes the mode when a call is first heard of.
func (r *recorder) CallChanged(v sbc.CallView) {
	r.mu.Lock()
	if _, known := r.births[v.Token]; !known {
		r.births[v.Token] = r.mode()
	}
	r.mu.Unlock()
	r.phoneNews.CallChanged(v)
}

// CallEnded keeps the call's record.
func (r *recorder) CallEnded(v sbc.CallView) {
	r.phoneNews.CallEnded(v)
	if v.End == nil {
		return
	}
	r.mu.Lock()
	born, known := r.births[v.Token]
	delete(r.births, v.Token)
	r.mu.Unlock()
	if !known {
		born = r.mode()
	}
	r.book.Keep(recordOf(v, born))
}

// recordOf is a call's record.
func recordOf(v sbc.CallView, born string) records.Record {
	rec := records.Record{
		ID: v.Token, Began: v.Born, Answered: v.Talked, Ended: v.Ended, From: v.Caller.Number, To: v.Dialled, Callee: v.Callee,
		Line: v.ALine + v.BLine, Route: string(v.Way), Mode: born, Blame: string(v.End.Blame), Code: v.End.Code, Reason: v.End.Reason, Cause: v.Cause, Session: v.Session,
	}
	if v.Caller.Anonymous {
		rec.From = ""
	}
	if !v.Talked.IsZero() {
		rec.Talked = int64(v.Ended.Sub(v.Talked) / time.Second)
	}
	if v.Media != nil {
		rec.CallerMOS, rec.CalleeMOS = heardWell(v.Media.A), heardWell(v.Media.B)
		rec.Lost = v.Media.A.In.Lost + v.Media.B.In.Lost
	}
	return rec
}

// heardWell is the quality of what one side sent, 0 where it was too little to tell.
func heardWell(st media.Stats) float64 {
	if st.In.Packets < enough {
		return 0
	}
	return st.In.MOS(st.Codec, st.RoundTrip)
}
