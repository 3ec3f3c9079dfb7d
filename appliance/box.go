package appliance

import (
	"cmp"
	"context"
	"crypto/rand"
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
	"linekeeper/appliance/records"
	"linekeeper/appliance/store"
	"linekeeper/appliance/watch"
	"linekeeper/netcfg/kernel"
	"linekeeper/sbc"
	"linekeeper/sbc/call"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/media"
	"linekeeper/sbc/resolve"
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
	// sweepEvery is how often expired bindings are taken out and refusals counted.
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
	mediaID  *media.Certificate
	public   *media.Public
	relays   *media.Relays
	speech   speech
	guard    *wire.Guard
	lanCert  *cert.Site
	wire     *wire.Wire
	servers  servers
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
	book     *records.Book
	refusals *refusals
	seen     seen
	was      atomic.Int32  // mode before the last change
	recount  chan struct{} // a line changed; one is enough
}

// Run serves until ctx ends; running calls then have DrainTime to end. Error:
// the data folder is in use or damaged, there is no site document that can be
// used, or a socket can't be opened.
func Run(ctx context.Context, o Options) error {
	st, err := store.Open(o.Settings.DataDir, o.Log)
	if err != nil {
		return err
	}
	defer st.Close()
	b := &Box{opts: o, log: o.Log, started: time.Now(), store: st, seen: seen{m: make(map[string]time.Time)}, recount: make(chan struct{}, 1)}
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
	b.book = records.New(b.store.Records, b.log, func(err error) { set(b.health, health.StoreFailing, "records", err != nil, fmt.Sprint(err)) })
	b.health = health.New(b.log, b.news.alarm)
	b.bindings = location.New(savedBindings{store.In[[]location.Binding](b.store.State, "bindings"), func() { b.health.Clear(health.StoreFailing, "bindings") }})
	if err := b.bindings.Load(time.Now()); err != nil {
		return err
	}
	var err error
	if b.refusals, err = openRefusals(b.store.State, b.log); err != nil {
		return err
	}
	if b.mediaID, err = media.NewCertificate(); err != nil {
		return err
	}
	if b.media, err = media.New(media.Config{DSCP: uint8(site.Network.QoS.Media), Log: b.log, Certificate: b.mediaID}); err != nil {
		return err
	}
	b.public = media.NewPublic(b.log)
	b.public.Configure(publicConfig(site))
	b.relays = media.NewRelays(b.log)
	b.relays.Configure(turnConfig(site))
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
		b.public.Refresh()
		if up {
			b.relays.Renew()
		}
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
		Log: b.log, Exchange: b.exchange, Flows: b.wire, Memory: b.refusals, Pings: pinger{b.wire}, Media: sbc.Relay(b.media), Fingerprint: b.mediaID.Fingerprint(), Public: b.public.Addr, Relayed: b.relays.Take, Location: b.bindings, Guard: punisher{b},
		Evidence: evidence{b}, Watch: newRecorder(phoneNews{b.news, b}, b.book, func() string { return b.keeper.View().Mode.String() }), Certificate: certificate,
		Brain: func() call.Router {
			if b.keeper.View().Mode == mode.Survival {
				return survival
			}
			return b.sw.Online()
		},
		Passages: savedIn[sbc.Passage](b, "passages"), Subscriptions: savedIn[sbc.Subscription](b, "subscriptions"), Mailboxes: savedIn[event.Counts](b, "mailboxes"),
		Survival: routerFunc(func(inv call.Invite) call.Plan { return survival.Route(inv) }),
	})
	survival = survivability.New(b.sw)
	b.sw.Configure(switchConfig(site, b.agent()))
}

// agent is how the box names itself in SIP.
func (b *Box) agent() string { return "Linekeeper/" + b.opts.Version }

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
	handler := api.NewHandler(api.Backend{Status: b, Phones: b, Lines: b, Calls: b, Events: b.hub, Site: b.sites, Records: b.book}, b.opts.Version, b.log)
	rooms := []loop.Room{
		b.store,
		room{"bindings", b.keepBindings},
		b.book,
		b.refusals,
		b.health,
		room{"relays", b.relays.Run},
		room{"media", b.media.Run},
		room{"public address", b.public.Run},
		room{"switchboard", b.sw.Run},
		room{"wire", b.wire.Run},
		room{"names", b.names.Run},
		b.keeper,
		room{"lines", b.countLines},
		room{"guard", b.countRejected},
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
