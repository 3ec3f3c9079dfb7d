package appliance

import (
	"cmp"
	"slices"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/health"
	"linekeeper/appliance/metrics"
	"linekeeper/sbc"
	"linekeeper/sbc/line"
	"linekeeper/sbc/location"
	"linekeeper/survivability/mode"
)

// Status is the appliance at a glance.
func (b *Box) Status() api.Status {
	v, site := b.keeper.View(), b.site.Load()
	lines, exts := b.sw.Lines(), b.Extensions()
	s := api.Status{
		Mode: v.Mode.String(), Cause: b.cause(v), Since: v.Since, Version: b.opts.Version, UptimeS: int64(time.Since(b.started) / time.Second),
		Site:       api.SiteStatus{Name: site.Site.Name, Revision: b.sites.revision()},
		Provider:   api.ProviderStatus{Profile: string(site.Provider.Profile), Reachable: v.Mode == mode.Online || v.Mode == mode.Degraded || v.Cause == mode.Returning},
		Lines:      api.Count{Total: len(lines)},
		Extensions: api.Count{Total: len(exts)},
		Calls:      api.CallCount{Active: len(b.sw.Calls())},
		Alarms:     b.health.Alarms(),
		Relay:      b.media.Describe().String(),
	}
	for _, l := range lines {
		if l.State == line.Bound {
			s.Lines.Registered++
			s.Provider.Target = target(l.Target)
		}
	}
	for _, e := range exts {
		if e.Registered {
			s.Extensions.Registered++
		}
	}
	if ts := b.names.Targets(); s.Provider.Target == "" && len(ts) > 0 {
		s.Provider.Target = target(sbc.Target{Transport: ts[0].Transport, Addr: ts[0].Addr})
	}
	s.Readiness = health.Assess(b.facts(v, lines, exts))
	return s
}

func target(t sbc.Target) string {
	if !t.Addr.IsValid() {
		return ""
	}
	return string(t.Transport) + "://" + t.Addr.String()
}

// cause is the sentence for people, in the site's language.
func (b *Box) cause(v mode.View) string {
	return v.Cause.Sentence(b.site.Load().Site.Language)
}

func (b *Box) facts(v mode.View, lines []sbc.LineView, exts []api.Extension) health.Facts {
	f := health.Facts{Now: time.Now(), Mode: v.Mode.String()}
	for _, l := range lines {
		f.Lines = append(f.Lines, health.LineFact{Account: l.Account, Registered: l.State == line.Bound})
	}
	for _, e := range exts {
		f.Extensions = append(f.Extensions, health.ExtensionFact{Number: e.Number, Registered: e.Registered, EverSeen: !e.LastSeen.IsZero()})
	}
	return f
}

// Extensions lists the extensions and who is registered for them.
func (b *Box) Extensions() []api.Extension {
	site := b.site.Load()
	bound := b.bindings.Snapshot(time.Now())
	busy := make(map[string]int)
	for _, c := range b.sw.Calls() {
		busy[c.Caller.Extension]++
		busy[c.Callee]++
	}
	watches := b.sw.Watching()
	states := make(map[string]string)
	for _, l := range b.sw.Lines() {
		states[l.Extension] = lineState(l.State)
	}
	out := make([]api.Extension, 0, len(site.Extensions))
	passages := b.sw.Passages()
	for _, p := range passages {
		states[p.Extension] = throughState(p, time.Now())
	}
	for _, e := range site.Extensions {
		x := api.Extension{Number: e.Number, Name: e.Name, Public: string(e.Public), Class: string(e.Class), Line: states[e.Number], Calls: busy[e.Number], Watches: watches[e.Number],
			Registered: len(bound[e.Number]) > 0, Contacts: contacts(bound[e.Number])}
		x.LastSeen = b.seen.at(e.Number)
		out = append(out, x)
	}
	for _, p := range passages {
		if _, listed := site.Extension(p.Extension); listed || len(bound[p.Extension]) == 0 {
			continue
		}
		x := api.Extension{Number: p.Extension, Name: p.Display, Line: states[p.Extension], Calls: busy[p.Extension], Watches: watches[p.Extension], Registered: true, LastSeen: b.seen.at(p.Extension)}
		x.Contacts = contacts(bound[p.Extension])
		out = append(out, x)
	}
	return out
}

// throughState is how the cloud account of a phone stands that registers through
// the box.
func throughState(p sbc.Passage, now time.Time) string {
	if now.Before(p.Expires) {
		return lineState(line.Bound)
	}
	return lineState(line.Waiting)
}

// contacts are the registered phones of an extension.
func contacts(bs []location.Binding) []api.Contact {
	out := []api.Contact{}
	for _, c := range bs {
		out = append(out, api.Contact{Address: c.Flow.Remote.String(), Transport: string(c.Flow.Transport), Agent: c.UserAgent, Since: c.Since, Expires: c.Expires})
	}
	return out
}

// lineState is a line's state as scripts and metrics know it.
func lineState(s line.State) string {
	if s == line.Bound {
		return "registered"
	}
	return s.String()
}

// Lines lists the cloud accounts.
func (b *Box) Lines() []api.Line {
	views := b.sw.Lines()
	out := make([]api.Line, 0, len(views))
	for _, l := range views {
		out = append(out, api.Line{Account: l.Account, Extension: l.Extension, State: lineState(l.State), Since: l.Since, Target: target(l.Target),
			Expires: l.Expires, Cause: cmp.Or(l.Cause.String(), l.Alarm)})
	}
	return out
}

// RetryLines lets rejected accounts try again, on an administrator's word.
func (b *Box) RetryLines() { b.sw.RetryLines() }

// Calls lists the calls in progress, the oldest first.
func (b *Box) Calls() []api.Call {
	views := b.sw.Calls()
	slices.SortFunc(views, func(x, y sbc.CallView) int { return x.Born.Compare(y.Born) })
	out := make([]api.Call, 0, len(views))
	for _, v := range views {
		c := api.Call{ID: v.Token, Route: string(v.Way), State: string(v.State), From: caller(v), To: v.Dialled, Started: v.Born, Answered: v.Talked}
		if v.Media != nil {
			c.Media.Relayed = v.Media.A.Relayed + v.Media.B.Relayed
			c.Media.Lost = v.Media.A.In.Lost + v.Media.B.In.Lost
			c.Media.Codec, c.Media.SRTP = v.Codec, encrypted(v)
			c.Media.MOS = worse(heardWell(v.Media.A), heardWell(v.Media.B))
		}
		out = append(out, c)
	}
	return out
}

// Figures is what a scrape of the metrics reads.
func (b *Box) Figures() metrics.Figures {
	f := metrics.Figures{Mode: b.keeper.View().Mode.String()}
	registered := 0
	exts := b.Extensions()
	for _, e := range exts {
		if e.Registered {
			registered++
		}
	}
	f.Registrations = []metrics.Registrations{{Side: "lan", State: "registered", Count: registered}, {Side: "lan", State: "absent", Count: len(exts) - registered}}
	states := make(map[string]int)
	for s := line.Idle; s < line.Gone; s++ {
		states[lineState(s)] = 0 // so that a curve falls to zero instead of breaking off
	}
	for _, l := range b.sw.Lines() {
		states[lineState(l.State)]++
	}
	for s, n := range states {
		f.Registrations = append(f.Registrations, metrics.Registrations{Side: "cloud", State: s, Count: n})
	}
	for w, n := range b.sw.CallsUp() {
		f.Calls = append(f.Calls, metrics.Calls{Route: string(w), Active: n})
	}
	for _, leg := range []string{sbc.LAN, "cloud"} { // there from the start, as 0
		for _, result := range []string{"relayed", "dropped", "lost"} {
			f.Packets = append(f.Packets, metrics.Packets{Leg: leg, Result: result})
		}
	}
	for _, t := range b.media.Totals().Legs {
		leg := t.Leg
		if leg == trunkZone {
			leg = "cloud" // the same word as at the registrations
		}
		f.Packets = append(f.Packets, metrics.Packets{Leg: leg, Result: "relayed", Count: t.Relayed},
			metrics.Packets{Leg: leg, Result: "dropped", Count: t.Dropped}, metrics.Packets{Leg: leg, Result: "lost", Count: t.Lost})
	}
	f.Held = b.held()
	w := b.wire.Stats()
	f.Large = []metrics.Large{{Way: "tcp", Count: w.LargeStreams}, {Way: "udp", Count: w.LargeDatagrams}}
	return f
}

// held counts what comes and goes with calls, phones and connections.
func (b *Box) held() []metrics.Held {
	x, watching := b.exchange.Stats(), 0
	for _, n := range b.sw.Watching() {
		watching += n
	}
	return []metrics.Held{
		{What: "subscription", Count: watching},
		{What: "call", Count: b.sw.AtWork()}, {What: "stream", Count: b.media.Totals().Streams},
		{What: "transaction", Count: x.Clients + x.Servers}, {What: "contact", Count: b.bindings.Len()},
		{What: "connection", Count: b.wire.Stats().Conns},
	}
}

// encrypted names the legs of a call that are encrypted.
func encrypted(v sbc.CallView) string {
	switch {
	case v.LANSecure && v.CloudSecure:
		return "both"
	case v.LANSecure:
		return "lan"
	case v.CloudSecure:
		return "cloud"
	}
	return "none"
}

// worse is the lower of two qualities; 0 is one not known yet.
func worse(a, b float64) float64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
