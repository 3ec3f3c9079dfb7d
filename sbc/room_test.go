package sbc

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/call/calltest"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/sbc/wire/wiretest"
)

// The ladders of testdata/ladders/room are of what is no call: registrations,
// subscriptions, messages, lines, and what is refused before anybody acts on it. A phone
// has the number of its extension, with a letter if there are several; a server of the
// provider is called cloud, cloud2. Both worlds play the same file: one in memory, in a
// bubble, and one over sockets.

func TestRoomLaddersInMemory(t *testing.T) {
	calltest.Play(t, "../testdata/ladders/room", func(t *testing.T, _ string, lines []calltest.Line) {
		synctest.Test(t, func(t *testing.T) {
			fabric := wiretest.New()
			host := byte(1)
			newRoom(t, lines, func(h wire.Handler, zones ...string) (wiretest.Wire, map[string]netip.AddrPort) {
				node, at := fabric.Node(), map[string]netip.AddrPort{}
				node.Handle(h)
				for _, z := range zones {
					at[z] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 5060)
					node.SetZone(z, at[z], sip.UDP, sip.TCP)
					host++
				}
				return node, at
			})
		})
	})
}

func TestRoomLaddersOverSockets(t *testing.T) {
	calltest.Play(t, "../testdata/ladders/room", func(t *testing.T, _ string, lines []calltest.Line) {
		t.Parallel()
		newRoom(t, lines, func(h wire.Handler, zones ...string) (wiretest.Wire, map[string]netip.AddrPort) {
			deps := wire.Deps{Log: slog.New(slog.DiscardHandler), Guard: wire.NewGuard(wire.Rules{})}
			for _, z := range zones {
				deps.Zones = append(deps.Zones, wire.Zone{Name: z, Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
			}
			w, at := wire.New(deps), map[string]netip.AddrPort{}
			w.Handle(h)
			live(t, w.Run)
			for _, z := range zones {
				at[z] = w.Listening(z)[0].Addr
			}
			return w, at
		})
	})
}

// live lets a room live until the test ends.
func live(t *testing.T, room func(context.Context, func()) error) {
	ctx, end := context.WithCancel(context.Background())
	ready, gone := make(chan struct{}), make(chan error, 1)
	go func() { gone <- room(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-gone:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		if err := <-gone; err != nil {
			t.Error(err)
		}
	})
}

// opener makes a wire with zones, and says where they listen.
type opener func(h wire.Handler, zones ...string) (wiretest.Wire, map[string]netip.AddrPort)

// room is the world around the switchboard of a ladder.
type room struct {
	t     *testing.T
	s     *Switch
	at    map[string]netip.AddrPort // the box's zones
	open  opener
	show  []string
	users map[string]*user
}

// user is a phone or a server.
type user struct {
	r     *room
	name  string
	flow  sip.Flow
	wire  wiretest.Wire
	heard chan sip.Message

	mu   sync.Mutex
	seen map[string]bool
	got  map[sip.Method]*sip.Request
	last *sip.Request  // of its own
	resp *sip.Response // the newest answer
	n    int
	tags map[string]string // the box's, by Call-ID
}

func newRoom(t *testing.T, lines []calltest.Line, open opener) {
	w := &world{t: t, media: &fakeMedia{}, memory: memory{refused: map[string]int{}}, location: location.New(nil)} // the small parts
	r := &room{t: t, open: open, users: map[string]*user{}}
	h := &relayed{}
	box, at := open(h, LAN, trunk)
	r.at = at
	log := slog.New(slog.DiscardHandler)
	x, err := exchange.New(exchange.Deps{Sender: box, Log: log, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	r.s = New(Deps{
		Log: log, Exchange: x, Flows: box, Pings: w, Media: w.media, Location: w.location, Guard: w, Evidence: w, Watch: w,
		Brain: func() call.Router { return r.s.Online() }, Memory: &w.memory, Certificate: func(error) bool { return false },
		Survival:      routerFunc(func(inv call.Invite) call.Plan { return r.s.RingExtension(inv, inv.Dialled) }),
		Subscriptions: &shelf[Subscription]{}, Mailboxes: &shelf[event.Counts]{},
	})
	cfg := site(t)
	cfg.Lines = cfg.Lines[:1]
	if slices.ContainsFunc(lines, func(l calltest.Line) bool { return slices.Equal(l.Words, []string{"through"}) }) {
		passing1(cfg)
	}
	r.s.Configure(cfg)
	live(t, r.s.Run)
	h.to(x)
	t.Cleanup(x.Stop)
	for _, l := range lines {
		r.line(l)
	}
	for _, u := range r.users {
		select {
		case m := <-u.heard:
			t.Errorf("besides: %s", r.words(u, m))
		default:
		}
	}
}

// relayed gives an exchange what comes, once there is one.
type relayed struct {
	mu sync.Mutex
	x  *exchange.Exchange
}

func (h *relayed) to(x *exchange.Exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.x = x
}

func (h *relayed) exchange() *exchange.Exchange {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.x
}

func (h *relayed) Receive(m sip.Message, flow sip.Flow) { h.exchange().Receive(m, flow) }
func (h *relayed) Lost(flow sip.Flow, err error)        { h.exchange().Lost(flow, err) }

// line plays one line.
func (r *room) line(l calltest.Line) {
	f := l.Words
	switch {
	case len(f) == 0:
	case l.Box():
		r.expect(r.user(f[2]), l)
	case f[0] == "show":
		r.show = f[1:]
	case f[0] == "through": // the configuration has it
	case f[0] == "servers":
		var ts []Target
		for _, name := range f[1:] {
			ts = append(ts, Target{sip.UDP, r.user(name).flow.Local})
		}
		r.s.SetTargets(ts)
	case len(f) > 3 && f[1] == "->":
		r.user(f[0]).says(f[3], f[4:])
	default:
		r.t.Fatalf("cannot read %q", l.Text)
	}
}

func (r *room) user(name string) *user {
	if u := r.users[name]; u != nil {
		return u
	}
	u := &user{r: r, name: name, heard: make(chan sip.Message, 64), seen: map[string]bool{}, got: map[sip.Method]*sip.Request{}, tags: map[string]string{}}
	w, _ := r.open(u, "user")
	u.wire = w
	zone := LAN
	if strings.HasPrefix(name, "cloud") {
		zone = trunk
	}
	flow, err := w.Flow("user", sip.UDP, r.at[zone])
	if err != nil {
		r.t.Fatal(err)
	}
	u.flow = flow
	r.users[name] = u
	return u
}

func (r *room) expect(u *user, l calltest.Line) {
	r.t.Helper()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	select {
	case m := <-u.heard:
		if got := r.words(u, m); got != l.Said() {
			r.t.Fatalf("the ladder went otherwise:\n want %q\n got  %q\n%s", l.Said(), got, sip.Bytes(m))
		}
	case <-late.C:
		r.t.Fatalf("%q: nothing comes", l.Said())
	}
}

// ext is the extension of a phone: its name without the letter.
func (u *user) ext() string { return strings.TrimRight(u.name, "abc") }

// Receive hears the box.
func (u *user) Receive(m sip.Message, _ sip.Flow) {
	u.mu.Lock()
	defer u.mu.Unlock()
	raw := string(sip.Bytes(m))
	if u.seen[raw] {
		return // repeated
	}
	u.seen[raw] = true
	switch m := m.(type) {
	case *sip.Request:
		u.got[m.Method] = m
	case *sip.Response:
		if m.StatusCode == 100 {
			return
		}
		u.resp = m
		if tag := sip.ToTag(m); m.IsSuccess() {
			u.tags[sip.CallIDOf(m)] = tag
		}
	}
	u.heard <- m
}

// Lost hears of connections; it has none.
func (u *user) Lost(sip.Flow, error) {}

func (u *user) contact() sip.URI {
	return sip.URI{Scheme: "sip", User: u.ext(), Host: u.flow.Local.Addr().String(), Port: int(u.flow.Local.Port())}
}

func (u *user) send(m sip.Message) {
	if err := u.wire.Send(u.flow, m); err != nil {
		u.r.t.Errorf("%s cannot speak: %v", u.name, err)
	}
}

// says sends a request, or answers the newest one of a method.
func (u *user) says(what string, words []string) {
	if code, err := strconv.Atoi(what); err == nil {
		u.answers(code, words)
		return
	}
	if what == "again" {
		u.send(u.again())
		return
	}
	u.mu.Lock()
	u.n++
	id := fmt.Sprintf("%s-%d", u.name, u.n)
	host := u.flow.Remote.Addr().String()
	to := sip.URI{Scheme: "sip", User: u.ext(), Host: host}
	if v, ok := calltest.Value(words, "to"); ok {
		to.User = v
	}
	from := &sip.From{Address: sip.URI{Scheme: "sip", User: u.ext(), Host: host}}
	from.Params.Add("tag", "t"+id)
	contact := u.contact()
	d := sip.Draft{Method: sip.Method(what), Target: to, From: from, To: &sip.To{Address: to}, CallID: id, Seq: 1, Contact: &contact}
	if d.Method == sip.REGISTER {
		d.Target.User = ""
	}
	if slices.Contains(words, "within") { // the dialog of the newest request
		d.From, d.CallID, d.Seq = u.last.From(), sip.CallIDOf(u.last), u.last.CSeq().SeqNo+1
		d.To.Params.Add("tag", u.tags[d.CallID])
	}
	if d.Method == sip.MESSAGE {
		d.Contact = nil
	}
	req := u.via(d.Request())
	u.mu.Unlock()
	u.dress(req, words)
	u.mu.Lock()
	u.last = req.Clone()
	u.mu.Unlock()
	u.send(req)
}

func (u *user) via(req *sip.Request) *sip.Request {
	u.n++
	sip.RemoveHeader(req, "Via")
	req.PrependHeader(&sip.Via{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: u.flow.Local.Addr().String(), Port: int(u.flow.Local.Port()),
		Params: sip.Params{{K: "branch", V: fmt.Sprintf("%s-%s-%d", sip.MagicCookie, u.name, u.n)}}})
	return req
}

// again repeats its newest request with the credentials that were asked for.
func (u *user) again() *sip.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	cs := sip.Challenges(u.resp)
	if len(cs) == 0 {
		u.r.t.Fatalf("%s was asked for nothing", u.name)
	}
	h, err := sip.Authorize(cs[0], sip.Credentials{User: u.ext(), Password: "secret" + u.ext()}, u.last.Method, sip.URIText(&u.last.Recipient), u.last.Body(), "cnonce", 1)
	if err != nil {
		u.r.t.Fatal(err)
	}
	req := u.last.Clone()
	sip.SetHeader(req, h)
	req.CSeq().SeqNo++
	u.last = u.via(req)
	return u.last.Clone()
}

func (u *user) answers(code int, words []string) {
	u.mu.Lock()
	method, ok := calltest.Value(words, "for")
	if !ok {
		u.r.t.Fatalf("%s answers what? for= is missing", u.name)
	}
	req := u.got[sip.Method(method)]
	u.mu.Unlock()
	if req == nil {
		u.r.t.Fatalf("%s answers what it never got", u.name)
	}
	resp := sip.Respond(req, code, "", "tag-"+u.name)
	if method == "REGISTER" && code == 200 {
		for _, c := range sip.HeaderValues(req, "Contact") {
			resp.AppendHeader(sip.NewHeader("Contact", c+";expires=600"))
		}
	}
	u.dress(resp, words)
	u.send(resp)
}

// dress puts on a message what the ladder's words say.
func (u *user) dress(m sip.Message, words []string) {
	for _, w := range words {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "expires":
			m.AppendHeader(sip.NewHeader("Expires", val))
		case "event":
			m.AppendHeader(sip.NewHeader("Event", val))
		case "text":
			sip.SetBody(m, "text/plain", []byte(val))
		case "require":
			m.AppendHeader(sip.NewHeader("Require", val))
		case "encoding":
			m.AppendHeader(sip.NewHeader("Content-Encoding", val))
		case "scheme":
			m.(*sip.Request).Recipient.Scheme = val
		case "hops":
			n, _ := strconv.Atoi(val)
			*m.(*sip.Request).MaxForwards() = sip.MaxForwards(n)
		case "cseq": // of another method
			m.CSeq().MethodName = sip.Method(val)
		case "challenge":
			m.AppendHeader(sip.NewHeader("WWW-Authenticate", `Digest realm="cloud", nonce="`+val+`", algorithm=MD5, qop="auth"`))
		case "after":
			m.AppendHeader(sip.NewHeader("Retry-After", val))
		case "domain":
			m.(*sip.Request).Recipient.Host, m.To().Address.Host, m.From().Address.Host = val, val, val
		case "to", "for", "within":
		default:
			u.r.t.Fatalf("unknown word %q", w)
		}
	}
}

// words is a message of the box as the line of a ladder.
func (r *room) words(u *user, m sip.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "box -> %s ", u.name)
	switch m := m.(type) {
	case *sip.Request:
		b.WriteString(string(m.Method))
		if v := sip.HeaderValue(m, "Event"); v != "" {
			state, _, _ := strings.Cut(sip.HeaderValue(m, "Subscription-State"), ";")
			b.WriteString(" event=" + v + " " + state)
		}
		if m.Method == sip.REGISTER && sip.HeaderValue(m, "Authorization") != "" {
			b.WriteString(" auth")
		}
	case *sip.Response:
		b.WriteString(strconv.Itoa(m.StatusCode))
		if _, method := sip.Seq(m); method == sip.REGISTER && m.IsSuccess() {
			b.WriteString(" contacts=" + strconv.Itoa(len(sip.HeaderValues(m, "Contact"))))
		}
	}
	for _, name := range append([]string{"Min-Expires", "Unsupported"}, r.show...) {
		if v := sip.HeaderValue(m, name); v != "" {
			b.WriteString(" " + strings.ToLower(name) + "=" + strings.ReplaceAll(v, " ", "_"))
		}
	}
	b.WriteString(content(m))
	return b.String()
}

// content is what matters of a body.
func content(m sip.Message) string {
	body := string(m.Body())
	for _, form := range []struct{ name, pattern string }{
		{"lamp", `<state>([a-z]+)</state>`},
		{"dialogs", `<dialog-info [^>]*state="([a-z]+)"`},
		{"waiting", `Messages-Waiting: ([a-z]+)`},
		{"contact", `<contact [^>]*state="([a-z]+)"`},
		{"registration", `<registration [^>]*state="([a-z]+)"`},
	} {
		if found := regexp.MustCompile(form.pattern).FindStringSubmatch(body); found != nil {
			return " " + form.name + "=" + found[1]
		}
	}
	if body != "" {
		return " text=" + body
	}
	return ""
}
