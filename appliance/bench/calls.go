package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// mute is media that is described but never sent: a call load allocates ports in the
// system under test and no socket here.
type mute struct {
	mu      sync.Mutex
	session *voice.Session
}

const mutePort = 40000

func newMute(addr netip.Addr, terms voice.Terms) (*mute, error) {
	s, err := voice.NewSession(terms, netip.AddrPortFrom(addr, mutePort))
	if err != nil {
		return nil, err
	}
	return &mute{session: s}, nil
}

// Offer is the SDP offer.
func (m *mute) Offer() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session.Offer()
}

// Answer takes an offer.
func (m *mute) Answer(offer []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, _, err := m.session.Answer(offer)
	return text, err
}

// Accept takes an answer.
func (m *mute) Accept(answer []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.session.Accept(answer)
	return err
}

// Hold is of no use in a load.
func (m *mute) Hold(bool) {}

// Close frees nothing.
func (m *mute) Close() {}

var _ ua.Media = (*mute)(nil)

// callResult is the outcome of a call load.
type callResult struct {
	Offered, Done, Failed int
	Setup                 hist // INVITE to 200, its challenge included
	FirstError            error
}

// sustained says whether the load was carried: nothing failed, nothing piled up.
func (r *callResult) sustained() bool {
	return r.Failed == 0 && r.Setup.quantile(0.99) < time.Second
}

// callTimeout is when a call of the load counts as failed.
const callTimeout = 10 * time.Second

// callLoad offers rate calls a second for d, from all phones in turn: INVITE, 200, ACK, BYE, 200.
func callLoad(ctx context.Context, phones []*phone.Phone, number func(i int) string, rate int, d time.Duration) callResult {
	var (
		res callResult
		mu  sync.Mutex
		wg  sync.WaitGroup
	)
	began := time.Now()
	total := int(float64(rate) * d.Seconds())
	for i := range total {
		if !sleepTo(ctx, began.Add(time.Duration(float64(i)/float64(rate)*float64(time.Second)))) {
			break
		}
		res.Offered++
		wg.Go(func() {
			setup, err := oneCall(ctx, phones[i%len(phones)], number(i))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				res.Failed++
				res.FirstError = errors.Join(res.FirstError, firstOnly(res.Failed, err))
				return
			}
			res.Done++
			res.Setup.add(setup)
		})
	}
	wg.Wait()
	return res
}

func sleepTo(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func oneCall(ctx context.Context, p *phone.Phone, number string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	call, err := p.Dial(ctx, number)
	if err != nil {
		return 0, err
	}
	if err := call.WaitState(ctx, ua.Talking); err != nil {
		call.Drop()
		return 0, err
	}
	v := call.View()
	if err := call.Hangup(ctx); err != nil {
		return 0, err
	}
	return v.Answered.Sub(v.Began), nil
}

// standingCalls sets up n calls at the given rate and leaves them up.
func standingCalls(ctx context.Context, phones []*phone.Phone, number func(i int) string, n, rate int) ([]*ua.Call, error) {
	calls := make([]*ua.Call, 0, n)
	began := time.Now()
	for i := range n {
		if !sleepTo(ctx, began.Add(time.Duration(i)*time.Second/time.Duration(rate))) {
			return calls, context.Cause(ctx)
		}
		call, err := phones[i%len(phones)].Dial(ctx, number(i))
		if err != nil {
			return calls, fmt.Errorf("standing call %d: %w", i, err)
		}
		calls = append(calls, call)
	}
	for i, call := range calls {
		wait, cancel := context.WithTimeout(ctx, callTimeout)
		err := call.WaitState(wait, ua.Talking)
		cancel()
		if err != nil {
			return calls, fmt.Errorf("standing call %d: %w", i, err)
		}
	}
	return calls, nil
}

// hangUp ends calls, many at a time.
func hangUp(ctx context.Context, calls []*ua.Call) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs error
		slot = make(chan struct{}, 20)
	)
	for _, call := range calls {
		slot <- struct{}{}
		wg.Go(func() {
			defer func() { <-slot }()
			if err := call.Hangup(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if errs == nil {
					errs = err
				}
			}
		})
	}
	wg.Wait()
	return errs
}
