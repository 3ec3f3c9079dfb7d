// Package apitest is the in-memory twin of the appliance behind the API, for
// tests of the API and of everything that speaks it.
//
// It must never be imported by anything but tests.
package apitest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/appliance/records"
)

// Appliance is a made-up appliance. Set its fields before use; the site
// document and the events may change at any time.
type Appliance struct {
	Now        api.Status
	Phones     []api.Extension
	Accounts   []api.Line
	Running    []api.Call
	Hub        *events.Hub
	Book       []records.Record
	Broken     error // given by the site store to every request
	ConfirmAll bool  // every change waits for its confirmation
	Retried    int   // how often the lines were told to try again

	mu   sync.Mutex
	docs []api.Document
}

// Epoch is when a made-up appliance started.
func Epoch() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) }

// Weber returns a small practice: two phones of three registered, one call.
func Weber() *Appliance {
	at := Epoch()
	a := &Appliance{
		Now: api.Status{
			Mode: "online", Since: at, Version: "1.0.0", UptimeS: 5025,
			Site:       api.SiteStatus{Name: "Praxis Dr. Weber", Revision: 1},
			Provider:   api.ProviderStatus{Profile: "hfo-centrex", Reachable: true, Target: "tls://192.0.2.1:5061"},
			Lines:      api.Count{Registered: 2, Total: 2},
			Extensions: api.Count{Registered: 2, Total: 3},
			Calls:      api.CallCount{Active: 1},
			Readiness: health.Readiness{Score: 87, Findings: []health.Weakness{{
				Code: "extension-never-seen", Severity: health.Warning, Points: 13,
				Text: health.Text{DE: "Noch nie angemeldet: 40. Telefon einrichten.", EN: "Never registered: 40. Set up the phone."},
			}}},
		},
		Phones: []api.Extension{
			{Number: "22", Name: "Empfang", Registered: true, LastSeen: at, Line: "registered", Calls: 1, Contacts: []api.Contact{
				{Address: "10.0.100.51:5060", Transport: "udp", Agent: "snomD785/10.1.175.16", Since: at, Expires: at.Add(time.Hour)}}},
			{Number: "23", Name: "Labor", Registered: true, LastSeen: at, Line: "registered", Contacts: []api.Contact{
				{Address: "10.0.100.52:5061", Transport: "tls", Agent: "Yealink SIP-T54W", Since: at, Expires: at.Add(time.Hour)}}},
			{Number: "40", Name: "Fax"},
		},
		Accounts: []api.Line{
			{Account: "22", Extension: "22", State: "registered", Since: at, Target: "tls://192.0.2.1:5061", Code: 200},
			{Account: "23", Extension: "23", State: "waiting", Since: at, Target: "tls://192.0.2.1:5061", Code: 503, Failures: 2, Cause: "the cloud PBX is overloaded and asked us to wait"},
		},
		Running: []api.Call{{
			ID: "c1", Route: "cloud", State: "talking", From: "22", To: "+49301234567", Started: at, Answered: at.Add(4 * time.Second),
			Media: api.Media{Codec: "PCMA", SRTP: "cloud", Relayed: 12000, Lost: 3, MOS: 4.3},
		}},
		Hub: events.New(64, 1),
		Book: []records.Record{
			{Seq: 1, ID: "c0", Began: at, Answered: at.Add(3 * time.Second), Ended: at.Add(63 * time.Second), Talked: 60, From: "22", To: "23", Callee: "23", Route: "internal", Mode: "online", Blame: "caller", Code: 200, Reason: "the caller hung up", CallerMOS: 4.4, CalleeMOS: 4.3},
			{Seq: 2, ID: "c9", Began: at, Ended: at.Add(time.Second), From: "22", To: "=cmd", Route: "cloud", Mode: "survival", Line: "22", Blame: "us", Code: 503, Reason: "the line is gone"},
		},
	}
	a.add("site: {name: Praxis Dr. Weber}\n", "setup", "file", "active")
	a.Hub.Publish(events.Event{Time: at, Kind: events.ModeChange, Text: "online: all lines are registered"})
	a.Hub.Publish(events.Event{Time: at.Add(time.Second), Kind: events.Registration, Text: "phone 22 registered from 10.0.100.51:5060",
		Attributes: map[string]string{"extension": "22"}})
	return a
}

// Backend returns the appliance as the API sees it.
func (a *Appliance) Backend() api.Backend {
	return api.Backend{Status: a, Phones: a, Lines: a, Calls: a, Events: a.Hub, Site: a, Records: a}
}

// RetryLines implements api.Lines.
func (a *Appliance) RetryLines() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Retried++
}

// Each implements api.Records.
func (a *Appliance) Each(from uint64, use func(records.Record) bool) error {
	for _, r := range a.Book {
		if r.Seq >= from && !use(r) {
			break
		}
	}
	return nil
}

// Status implements api.Statuser.
func (a *Appliance) Status() api.Status { return a.Now }

// Extensions implements api.Directory.
func (a *Appliance) Extensions() []api.Extension { return slices.Clone(a.Phones) }

// Lines implements api.Lines.
func (a *Appliance) Lines() []api.Line { return a.Accounts }

// Calls implements api.Calls.
func (a *Appliance) Calls() []api.Call { return a.Running }

// add makes a new revision. The caller holds the lock or is alone.
func (a *Appliance) add(text, author, origin, state string) api.Revision {
	n := len(a.docs) + 1
	r := api.Revision{Number: n, Time: Epoch().Add(time.Duration(n) * time.Minute), Author: author, Origin: origin, State: state}
	if state == "waiting" {
		before := r.Time.Add(time.Minute)
		r.ConfirmBefore = &before
	} else {
		for i := range a.docs {
			if a.docs[i].State == "active" {
				a.docs[i].State = "replaced"
			}
		}
	}
	a.docs = append(a.docs, api.Document{Revision: r, Text: text})
	return r
}

// active returns the revision in force: the waiting one before the confirmed.
func (a *Appliance) active() *api.Document {
	for i := len(a.docs) - 1; i >= 0; i-- {
		if s := a.docs[i].State; s == "active" || s == "waiting" {
			return &a.docs[i]
		}
	}
	return &api.Document{}
}

// Document implements api.SiteStore.
func (a *Appliance) Document(_ context.Context, n int) (api.Document, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.Broken != nil:
		return api.Document{}, a.Broken
	case n == 0:
		return *a.active(), nil
	case n > len(a.docs):
		return api.Document{}, fmt.Errorf("revision %d: %w", n, api.ErrNoRevision)
	}
	return a.docs[n-1], nil
}

// Revisions implements api.SiteStore.
func (a *Appliance) Revisions(context.Context) ([]api.Revision, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []api.Revision
	for _, d := range slices.Backward(a.docs) {
		all = append(all, d.Revision)
	}
	return all, a.Broken
}

// Apply implements api.SiteStore. A document that contains "bogus" is refused.
func (a *Appliance) Apply(_ context.Context, c api.Change) (api.Applied, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.active()
	if a.Broken != nil {
		return api.Applied{}, a.Broken
	}
	if c.Base != 0 && c.Base != now.Number {
		return api.Applied{}, fmt.Errorf("revision %d is in force, yours was based on %d: %w", now.Number, c.Base, api.ErrConflict)
	}
	for i, line := range bytes.Split(c.Text, []byte("\n")) {
		if at := bytes.Index(line, []byte("bogus")); at >= 0 {
			return api.Applied{}, &api.InvalidError{Findings: []api.Finding{{
				Line: i + 1, Column: at + 1, Path: "bogus", Severity: "error", Text: "unknown key", Hint: "did you mean site?"}}}
		}
	}
	if string(c.Text) == now.Text {
		return api.Applied{Revision: now.Revision}, nil
	}
	state := "active"
	if a.ConfirmAll {
		state = "waiting"
	}
	return api.Applied{Revision: a.add(string(c.Text), c.Author, "api", state), Changed: true, Cost: "live"}, nil
}

// Confirm implements api.SiteStore.
func (a *Appliance) Confirm(_ context.Context, n int, _ string) (api.Revision, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.active()
	if now.State != "waiting" || (n != 0 && n != now.Number) {
		return api.Revision{}, api.ErrNothingWaits
	}
	for i := range a.docs {
		if a.docs[i].State == "active" {
			a.docs[i].State = "replaced"
		}
	}
	now.State, now.ConfirmBefore = "active", nil
	return now.Revision, nil
}

// Rollback implements api.SiteStore.
func (a *Appliance) Rollback(_ context.Context, n int, author string) (api.Applied, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.active()
	if n == 0 && now.State == "waiting" {
		now.State, now.ConfirmBefore = "taken-back", nil
		return api.Applied{Revision: a.active().Revision, Changed: true}, nil
	}
	if n == 0 {
		n = now.Number - 1
	}
	if n < 1 || n > len(a.docs) {
		return api.Applied{}, fmt.Errorf("revision %d: %w", n, api.ErrNoRevision)
	}
	text := strings.Clone(a.docs[n-1].Text)
	return api.Applied{Revision: a.add(text, author, "rollback", "active"), Changed: true, Cost: "live"}, nil
}
