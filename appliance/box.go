package appliance

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/config"
	"linekeeper/appliance/config/settings"
	"linekeeper/appliance/events"
	"linekeeper/appliance/health"
	"linekeeper/appliance/loop"
	"linekeeper/appliance/metrics"
	"linekeeper/appliance/store"
	"linekeeper/appliance/watch"
	"linekeeper/netcfg/kernel"
	"linekeeper/sbc"
	"linekeeper/sbc/call"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/line"
	"linekeeper/sbc/location"
	"linekeeper/sbc/media"
	"linekeeper/sbc/resolve"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/sbc/wire/cert"
	"linekeeper/survivability"
	"linekeeper/survivability/mode"
)

// Options are how the daemon is started.
type Options struct {
	// Settings are the daemon's own.
	Settings settings.Settings
	// SitePath is a site document to import; empty: the stored one.
	SitePath string
	// Version is the software's.
	Version string
	Log     *slog.Logger
	// DrainTime bounds how long running calls are waited for at the end; 0: 30 s.
	DrainTime time.Duration
	// Ready is called once everything serves; nil: nobody asks.
	Ready func(*Box)
}

const (
	// eventDepth is how many events are kept for late readers.
	eventDepth = 4096
	// drainTime is how long running calls are waited for at a shutdown where the
	// options say nothing.
	drainTime = 30 * time.Second
	// trunkPort is the local port toward the cloud, the same after each start, so
	// that a registration replaces the one before it.
	trunkPort = 5080
	// sweepEvery is how often expired bindings are taken out.
	sweepEvery = time.Second
)

// Box is the appliance with all its rooms.
type Box struct {
	opts    Options
	log     *slog.Logger
	started time.Time

	store    *store.Store
	sites    *sites
	site     atomic.Pointer[config.Site]
	bindings *location.Table
	media    *media.Engine
	guard    *wire.Guard
	lanCert  *cert.Site
	wire     *wire.Wire
	exchange *exchange.Exchange
	sw       *sbc.Switch
	keeper   *survivability.Keeper
	names    *resolve.Resolver
	carrier  *kernel.Carrier
	hub      *events.Hub
	health   *health.Room
	metrics  *metrics.Metrics
	watch    *watch.Watch
	news     *news
	seen     seen
	was      atomic.Int32 // mode before the last change
}

// Run serves until ctx ends; running calls then have drainTime to end.
func Run(ctx context.Context, o Options) error {
	st, err := store.Open(o.Settings.DataDir, o.Log)
	if err != nil {
		return err
	}
	defer st.Close()
	b := &Box{opts: o, log: o.Log, started: time.Now(), store: st, seen: seen{m: make(map[string]time.Time)}}
	b.was.Store(int32(mode.Recovering))
	if b.sites, err = openSites(st, o.Settings.DataDir); err != nil {
		return err
	}
	site, err := b.sites.start(o.SitePath)
	if site == nil {
		return err
	}
	b.site.Store(site)
	if failed := b.build(site); failed != nil {
		return failed
	}
	if err != nil { // the file could not be used, the stored document serves
		b.log.Error("site document not imported, the stored one serves", "err", err)
		b.health.Raise(health.SiteRejected, "", err.Error())
	}
	return b.live(ctx)
}

// build makes every room. It opens no socket.
func (b *Box) build(site *config.Site) error {
	b.hub = events.New(eventDepth, uint64(b.started.UnixMicro()))
	b.metrics = metrics.New(b)
	b.news = &news{hub: b.hub, metrics: b.metrics}
	b.health = health.New(b.log, b.news.alarm)
	b.bindings = location.New(savedBindings{store.In[[]location.Binding](b.store.State, "bindings")})
	if err := b.bindings.Load(time.Now()); err != nil {
		return err
	}
	var err error
	if b.media, err = media.New(media.Config{DSCP: uint8(site.Network.QoS.Media), Log: b.log}); err != nil {
		return err
	}
	if err := b.buildWire(site); err != nil {
		return err
	}
	b.exchange, err = exchange.New(exchange.Deps{Sender: b.wire, Log: b.log, Rand: rand.Reader})
	if err != nil {
		return err
	}
	b.wire.Handle(received{b})
	b.buildSwitch(site)
	b.keeper = survivability.NewKeeper(modeConfig(site), b.sw, b.log, b.modeChanged)
	b.keeper.Tell(mode.Lines{Total: len(b.sw.Lines())})
	b.names = resolve.New(resolve.Deps{Log: b.log, Changed: b.targetsChanged, Judged: b.namesJudged, Saver: savedTargets{store.In[resolve.Saved](b.store.State, "targets")}})
	b.names.SetSource(source(site))
	b.carrier = kernel.NewCarrier(b.log, func(up bool) {
		b.keeper.Tell(mode.Link{Up: up})
		set(b.health, health.LinkDown, "", !up, "the link toward the provider has no carrier")
	})
	b.sites.inForce = b.inForce
	dog, err := watch.WatchdogSec()
	if err != nil {
		return err
	}
	b.watch = watch.New(watch.Deps{Probe: b.sw.Check, Notify: watch.System(), Watchdog: dog, Log: b.log, Told: func(err error) {
		set(b.health, health.EngineHung, "", err != nil, fmt.Sprint(err))
	}})
	return nil
}

func (b *Box) buildSwitch(site *config.Site) {
	var survival *survivability.Router
	b.sw = sbc.New(sbc.Deps{
		Log: b.log, Exchange: b.exchange, Flows: b.wire, Pings: pinger{b.wire}, Media: sbc.Relay(b.media), Location: b.bindings, Guard: punisher{b},
		Evidence: evidence{b}, Watch: phoneNews{b.news, b}, Certificate: certificate,
		Brain: func() call.Router {
			if b.keeper.View().Mode == mode.Survival {
				return survival
			}
			return b.sw.Online()
		},
		Survival: routerFunc(func(inv call.Invite) call.Plan { return survival.Route(inv) }),
	})
	survival = survivability.New(b.sw)
	b.sw.Configure(switchConfig(site, "Linekeeper/"+b.opts.Version))
}

type routerFunc func(call.Invite) call.Plan

// Route asks the function.
func (f routerFunc) Route(inv call.Invite) call.Plan { return f(inv) }

func modeConfig(site *config.Site) mode.Config {
	p := site.Survivability.Probe
	// Until the names are resolved one target is assumed, so that the start is no outage.
	return mode.Config{Interval: p.Interval.D(), Fast: p.Fast.D(), Fail: p.Fail, Recover: p.Recover, Targets: 1}
}

// live runs the rooms, ground first. At the end the calls drain before anything
// goes down.
func (b *Box) live(ctx context.Context) error {
	handler := api.NewHandler(api.Backend{Status: b, Phones: b, Lines: b, Calls: b, Events: b.hub, Site: b.sites}, b.opts.Version, b.log)
	rooms := []loop.Room{
		b.store,
		room{"bindings", b.keepBindings},
		b.health,
		room{"media", b.media.Run},
		room{"switchboard", b.sw.Run},
		room{"wire", b.wire.Run},
		room{"names", b.names.Run},
		b.keeper,
		b.carrier,
		api.NewServer(b.opts.Settings.API.Socket, handler, b.log),
		metrics.NewServer(b.opts.Settings.Metrics.Listen, b.metrics, b.log, nil),
		b.watch,
		room{"drain", b.drain},
	}
	b.log.Info("starting", "version", b.opts.Version, "site", b.site.Load().Site.Name)
	err := loop.Live(ctx, rooms...)
	b.exchange.Stop()
	b.log.Info("stopped")
	return err
}

// room makes a named room of a function.
type room struct {
	name string
	run  func(context.Context, func()) error
}

// Name is the room's name.
func (r room) Name() string { return r.name }

// Run runs the function.
func (r room) Run(ctx context.Context, ready func()) error { return r.run(ctx, ready) }

// drain is the roof: the last up, the first asked to go. It tells that all is
// ready, and at the end waits for running calls.
func (b *Box) drain(ctx context.Context, ready func()) error {
	ready()
	b.watch.Ready("serving")
	b.news.publish(events.Lifecycle, events.Info, nil, "the appliance is ready")
	b.log.Info("ready", "after", time.Since(b.started).Round(time.Millisecond))
	if b.opts.Ready != nil {
		b.opts.Ready(b)
	}
	<-ctx.Done()
	patience := cmp.Or(b.opts.DrainTime, drainTime)
	b.watch.Stopping("waiting for calls to end", patience)
	left, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	b.sw.Drain(left, func(n int) { b.log.Info("waiting for calls to end", "calls", n) })
	return nil
}

// keepBindings writes bindings behind the call path and takes out what expired.
func (b *Box) keepBindings(ctx context.Context, ready func()) error {
	done := make(chan error, 1)
	go func() {
		done <- b.bindings.Run(ctx, func(err error) { b.health.Raise(health.StoreFailing, "bindings", err.Error()) })
	}()
	ready()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case now := <-tick.C:
			for _, gone := range b.bindings.Sweep(now) {
				b.news.PhoneGone(gone.Extension)
			}
		}
	}
}

// savedBindings keeps bindings in the store.
type savedBindings struct {
	bucket store.Bucket[[]location.Binding]
}

// Save writes what changed in one transaction.
func (s savedBindings) Save(changed map[string][]location.Binding) error {
	batch := make(map[string]*[]location.Binding, len(changed))
	for ext, all := range changed {
		if len(all) > 0 {
			batch[ext] = &all
			continue
		}
		batch[ext] = nil
	}
	return s.bucket.Batch(batch)
}

// Load reads all bindings.
func (s savedBindings) Load() (map[string][]location.Binding, error) { return s.bucket.All() }

// received hands messages to the exchange and tells lines of broken connections.
type received struct{ b *Box }

// Receive takes a message from the wire. On the trunk only the cloud is heard:
// whoever else knocks there gets silence.
func (r received) Receive(m sip.Message, flow sip.Flow) {
	if flow.Zone == trunkZone && !r.b.sw.Knows(flow.Remote.Addr()) {
		r.b.metrics.Rejected("stranger")
		r.b.guard.Punish(flow.Remote.Addr())
		return
	}
	r.b.exchange.Receive(m, flow)
}

// Lost tells everybody concerned that a connection broke.
func (r received) Lost(flow sip.Flow, err error) {
	r.b.exchange.Lost(flow, err)
	if flow.Zone == sbc.LAN {
		return
	}
	if t := r.b.sw.TargetAt(flow); t >= 0 {
		r.b.keeper.Tell(mode.Lost{Target: t, Certificate: certificate(err)})
	}
	r.b.sw.Lost(flow, certificate(err))
}

// certificate says whether an error is about a certificate.
func certificate(err error) bool {
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	return errors.As(err, &verify) || errors.As(err, &alert)
}

type punisher struct{ b *Box }

// Punish counts a failure against an address, and says when that bans it.
func (p punisher) Punish(a netip.Addr, reason string) {
	if p.b.guard.Punish(a) {
		p.b.news.publish(events.GuardRejected, events.Warning, map[string]string{"address": a.String()}, "%s is banned: %s", a, reason)
	}
}

// targetsChanged hands new addresses of the provider to lines and mode.
func (b *Box) targetsChanged(ts []resolve.Target) {
	list := make([]sbc.Target, len(ts))
	for i, t := range ts {
		list[i] = sbc.Target{Transport: t.Transport, Addr: t.Addr}
	}
	b.sw.SetTargets(list)
	if len(list) > 0 {
		b.carrier.Toward(list[0].Addr.Addr())
	}
	b.keeper.Tell(mode.Retarget{Count: len(list)})
}

// Authority is the certificate that phones must trust for TLS, in PEM.
func (b *Box) Authority() []byte { return b.lanCert.Authority() }

// Listening is where phones reach the box over a transport; invalid if nowhere.
func (b *Box) Listening(transport string) netip.AddrPort {
	for _, l := range b.wire.Listening(sbc.LAN) {
		if string(l.Transport) == transport {
			return l.Addr
		}
	}
	return netip.AddrPort{}
}

// namesJudged tells the mode how the name look-ups do.
func (b *Box) namesJudged(h resolve.Health) {
	fact := mode.Unknown
	switch h.Verdict {
	case resolve.Good:
		fact = mode.Good
	case resolve.Bad:
		fact = mode.Bad
	}
	b.keeper.Tell(mode.DNS{Fact: fact})
	set(b.health, health.DNSBroken, "", h.Verdict == resolve.Bad, h.Cause)
}

// savedTargets keeps the provider's last known addresses, so that a restart
// while names can't be resolved still finds the cloud.
type savedTargets struct{ bucket store.Bucket[resolve.Saved] }

// Save keeps the last good answer.
func (s savedTargets) Save(v resolve.Saved) error { return s.bucket.Put("provider", v) }

// Load reads it; zero if there is none.
func (s savedTargets) Load() (resolve.Saved, error) {
	v, _, err := s.bucket.Get("provider")
	return v, err
}

// modeChanged tells lines, people and metrics.
func (b *Box) modeChanged(v mode.View) {
	was := mode.Mode(b.was.Swap(int32(v.Mode)))
	sev := events.Info
	if v.Mode == mode.Survival {
		sev = events.Critical
	}
	b.news.publish(events.ModeChange, sev, map[string]string{"mode": v.Mode.String(), "cause": v.Cause.String()}, "mode is %s. %s", v.Mode, v.Cause.Sentence("en"))
	set(b.health, health.Survival, "", v.Mode == mode.Survival, v.Cause.Sentence("en"))
	if was == v.Mode {
		return
	}
	b.metrics.ModeChanged(v.Mode.String())
	b.watch.Status(v.Mode.String() + ": " + v.Cause.Sentence("en"))
	switch {
	case v.Mode == mode.Survival:
		b.sw.PathLost()
		b.names.Kick()
	case was == mode.Survival:
		b.sw.PathBack()
	}
}

// countLines sums up the lines for the mode.
func (b *Box) countLines() {
	var l mode.Lines
	for _, v := range b.sw.Lines() {
		l.Total++
		switch v.State {
		case line.Bound:
			l.Registered++
		case line.Rejected:
			l.Rejected++
		}
	}
	b.keeper.Tell(l)
}

// inForce makes a new site document take effect as far as it can without a restart.
func (b *Box) inForce(site *config.Site) error {
	b.configureGuard(site)
	for _, e := range b.site.Swap(site).Extensions {
		if _, still := site.Extension(e.Number); !still {
			b.bindings.Forget(e.Number)
		}
	}
	b.sw.Configure(switchConfig(site, "Linekeeper/"+b.opts.Version))
	b.names.SetSource(source(site))
	b.news.publish(events.SiteRevision, events.Info, nil, "a new site document is in force")
	return nil
}
