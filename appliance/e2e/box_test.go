package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"
)

// Site is what the tests vary of the site document.
type Site struct {
	Profile  string // default generic; another one brings its own settings
	Clients  string // lan.clients, default none
	Lines    int    // extensions 22, 23, …, each with a cloud account
	Server   string // tls://…, default: Kamailio by TLS
	Named    bool   // no server is given: the provider's SRV records say
	SRTP     string // toward the cloud, default required
	Keying   string // toward the cloud, default sdes
	ICE      bool   // candidates toward the cloud
	Relay    string // server of provider.turn
	Internal string // internal_calls, default local
	CAFile   string // authority of the cloud's certificate
	BoxLAN   string
	BoxWAN   string
	Log      string // level, default debug
	Direct   bool   // lan.direct_media
	// Through are accounts of the cloud whose phones register through the box.
	Through []Subscriber
}

const siteDocument = `
site: {name: Town, country: DE, area_code: "89", main_number: "+498912345620"}
provider:
  profile: {{.Profile}}
  domain: cloud.example
  {{- if .Named}}
  transport: udp
  {{- else}}
  servers: ["{{.Server}}"]
  {{- end}}
  {{- if .CAFile}}
  tls: {ca: "{{.CAFile}}", server_name: pbx.example}
  {{- end}}
  {{- if eq .Profile "generic"}}
  srtp: {{.SRTP}}
  keying: {{if .Keying}}{{.Keying}}{{else}}sdes{{end}}
  ice: {{.ICE}}
  {{- if .Relay}}
  turn: {servers: ["{{.Relay}}"], user: praxis, password: wacholder-5-dohle}
  {{- end}}
  register: {expires: 600s, spacing: 300ms}
  codecs: [PCMA, PCMU, telephone-event]
  internal_calls: {{.Internal}}
  {{- end}}
lan:
  sip: ["udp://{{.BoxLAN}}:5060", "tcp://{{.BoxLAN}}:5060", "tls://{{.BoxLAN}}:5061"]
  clients: [{{.Clients}}]
  direct_media: {{.Direct}}
  {{- if .Through}}
  pass_through: true
  {{- end}}
wan: {address: "{{.BoxWAN}}"}
extensions:
{{- range .Extensions}}
  - {number: "{{.}}", public: "+4989123456{{.}}", password: phone-secret-{{.}}, class: international, cloud: {account: "{{.}}", password: line-secret-{{.}}}}
{{- end}}
ui: {listen: ""}
`

// firstExtension is the number of the first phone.
const firstExtension = 22

// Extensions are the numbers of the site.
func (s Site) Extensions() []string {
	var all []string
	for i := range s.Lines {
		all = append(all, strconv.Itoa(firstExtension+i))
	}
	return all
}

// Subscribers are the site's accounts in the cloud, and the far party.
func (s Site) Subscribers() []Subscriber {
	all := []Subscriber{{Account: "far", Password: "far-secret", Number: "4989777001"}}
	for _, number := range s.Extensions() {
		all = append(all, Subscriber{Account: number, Password: "line-secret-" + number, Number: "4989123456" + number})
	}
	return append(all, s.Through...)
}

// farNumber is how the phones dial the far party.
const farNumber = "089777001"

// Box is the daemon under test.
type Box struct {
	*Proc
	town *Town
	dir  string
	site string
}

// Status is what the daemon says of itself.
type Status struct {
	Mode     string    `json:"mode"`
	Cause    string    `json:"cause"`
	Since    time.Time `json:"since"`
	Provider struct {
		Reachable bool `json:"reachable"`
	} `json:"provider"`
	Lines      Count `json:"lines"`
	Extensions Count `json:"extensions"`
	Calls      struct {
		Active int `json:"active"`
	} `json:"calls"`
}

// Count is so many of so many.
type Count struct {
	Registered int `json:"registered"`
	Total      int `json:"total"`
}

// Linekeeper starts the daemon on a site and waits until it is ready.
func (town *Town) Linekeeper(t *testing.T, site Site) *Box {
	t.Helper()
	site.BoxLAN, site.BoxWAN = boxLAN, boxWAN
	if site.Server == "" {
		site.Server = "tls://" + pbxAddr + ":5061"
	}
	if site.Profile == "" {
		site.Profile = "generic"
	}
	if site.SRTP == "" {
		site.SRTP = "required"
	}
	if site.Internal == "" {
		site.Internal = "local"
	}
	if site.Log == "" {
		site.Log = "debug"
	}
	// A socket's path must be short, so this is no t.TempDir.
	dir, err := os.MkdirTemp("", "lk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	box := &Box{town: town, dir: dir, site: filepath.Join(dir, "site.yaml")}
	var text strings.Builder
	if err := template.Must(template.New("site").Parse(siteDocument)).Execute(&text, site); err != nil {
		t.Fatal(err)
	}
	writeFile(t, box.site, text.String())
	writeFile(t, box.config(), fmt.Sprintf("data_dir: %s\nlog: {level: %s, format: text}\napi: {socket: %s}\nmetrics: {listen: \"127.0.0.1:9464\"}\n",
		filepath.Join(dir, "data"), site.Log, box.socket()))
	box.Up(t)
	return box
}

func (b *Box) config() string { return filepath.Join(b.dir, "appliance.yaml") }
func (b *Box) socket() string { return filepath.Join(b.dir, "api.sock") }

// Up starts the daemon and returns how long it took until it said READY.
func (b *Box) Up(t *testing.T) time.Duration {
	t.Helper()
	name := filepath.Join(b.dir, "notify.sock")
	os.Remove(name)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	var life *Proc
	t.Cleanup(func() { clean(t, life) })
	begin := time.Now()
	b.Proc = b.town.Box.Start(t, b.dir, []string{"NOTIFY_SOCKET=" + name}, daemon,
		"run", "--site", b.site, "--config", b.config(), "--data", filepath.Join(b.dir, "data"))
	life = b.Proc
	t.Cleanup(life.Stop) // before it is killed, so that it can say what it has to say
	if err := notify.SetReadDeadline(begin.Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 4096)
	for {
		n, err := notify.Read(said)
		if err != nil {
			t.Fatalf("the daemon has not said READY=1 to NOTIFY_SOCKET: %v", err)
		}
		if strings.Contains(string(said[:n]), "READY=1") {
			took := time.Since(begin)
			go drain(notify)
			return took
		}
	}
}

// clean looks back at one life of the daemon: neither the race detector nor a
// panic nor an error that a person must act on may have spoken.
func clean(t *testing.T, life *Proc) {
	t.Helper()
	if life == nil {
		return
	}
	text := life.Text()
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "level=ERROR"} {
		if _, rest, found := strings.Cut(text, bad); found {
			t.Errorf("the daemon printed %s%s", bad, rest[:min(len(rest), 3000)])
		}
	}
}

// drain goes on reading what the daemon tells the service manager, until the
// socket is closed.
func drain(notify *net.UnixConn) {
	if err := notify.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	said := make([]byte, 4096)
	for {
		if _, err := notify.Read(said); err != nil {
			return
		}
	}
}

// Status asks the daemon as an admin would.
func (b *Box) Status(t *testing.T) Status {
	t.Helper()
	s, err := b.status(t)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *Box) status(t *testing.T) (Status, error) {
	t.Helper()
	var s Status
	out, err := b.town.Box.Run(t, []string{"LINEKEEPER_API_SOCKET=" + b.socket()}, daemon, "status", "--json")
	if err != nil && out == "" {
		return s, fmt.Errorf("linekeeper status: %w", err)
	}
	// Exit code 1 only says that there are findings.
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		return s, fmt.Errorf("linekeeper status printed %q: %w", out, err)
	}
	return s, nil
}

// AwaitStatus asks until the status is as wanted and returns how long it took.
func (b *Box) AwaitStatus(t *testing.T, within time.Duration, what string, wanted func(Status) bool) time.Duration {
	t.Helper()
	return eventually(t, within, what, func() (string, bool) {
		s, err := b.status(t)
		return fmt.Sprintf("%+v %v", s, err), err == nil && wanted(s)
	})
}

// AwaitOnline waits until all lines are registered.
func (b *Box) AwaitOnline(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	return b.AwaitStatus(t, within, "online with all lines", func(s Status) bool {
		return s.Mode == "online" && s.Lines.Total > 0 && s.Lines.Registered == s.Lines.Total
	})
}

// AwaitSurvival waits for survival and returns how long after the cut it
// began, by the daemon's own word: asking takes time too.
func (b *Box) AwaitSurvival(t *testing.T, cut time.Time, within time.Duration) time.Duration {
	t.Helper()
	b.AwaitStatus(t, within+2*time.Second, "survival", func(s Status) bool { return s.Mode == "survival" })
	s := b.Status(t)
	took := s.Since.Sub(cut)
	if took > within || took < 0 {
		t.Errorf("survival began %v after the cut, the limit is %v", took, within)
	}
	if len(strings.Fields(s.Cause)) < 3 {
		t.Errorf("cause is %q, want a sentence", s.Cause)
	}
	return took
}

// AwaitIdle waits until the daemon knows of no call any more.
func (b *Box) AwaitIdle(t *testing.T) {
	t.Helper()
	b.AwaitStatus(t, 5*time.Second, "no call is left", func(s Status) bool { return s.Calls.Active == 0 })
}

// Phone starts a baresip on the n-th phone host (from 0) as the n-th extension.
func (town *Town) Phone(t *testing.T, n int, hz float64, change ...func(*Account)) *Baresip {
	t.Helper()
	number := strconv.Itoa(firstExtension + n)
	a := Account{
		User: number, Password: "phone-secret-" + number,
		Registrar: boxLAN + ":5060", Transport: "udp", Hz: hz,
	}
	for _, c := range change {
		c(&a)
	}
	return town.Phones[n].Baresip(t, a)
}

// encrypted makes a phone speak TLS and insist on SRTP.
func encrypted(a *Account) {
	a.Registrar, a.Transport, a.MediaEnc = boxLAN+":5061", "tls", "srtp-mand"
}

// Far starts the far party: a baresip behind Kamailio, TLS and SRTP.
func (town *Town) Far(t *testing.T, ca *authority) *Baresip {
	t.Helper()
	return town.Other.Baresip(t, Account{
		User: "far", Password: "far-secret", Registrar: pbxAddr + ":5061", Transport: "tls",
		MediaEnc: "srtp-mand", CAFile: ca.File, Hz: hzFar,
	})
}

// office is the usual scene: Kamailio, the box with its lines registered, and
// the far party.
func office(t *testing.T, phones int, site Site) (*Town, *Box, *Baresip) {
	t.Helper()
	town := newTown(t, phones)
	ca := newAuthority(t)
	site.CAFile = ca.File
	town.Kamailio(t, ca, site.Subscribers()...)
	box := town.Linekeeper(t, site)
	far := town.Far(t, ca)
	box.AwaitOnline(t, 15*time.Second)
	return town, box, far
}

// dial lets a call b, and b answer.
func dial(t *testing.T, a, b *Baresip, number string) {
	t.Helper()
	a.Dial(t, number)
	b.Await(t, "CALL_INCOMING", 5*time.Second)
	b.Answer(t)
	a.Await(t, "CALL_ESTABLISHED", 5*time.Second)
	b.Await(t, "CALL_ESTABLISHED", 5*time.Second)
}

// talk lets a call b, b answer, and both hear each other.
func talk(t *testing.T, a, b *Baresip, number string) {
	t.Helper()
	dial(t, a, b, number)
	bothHear(t, a, b)
}

// part lets a hang up, and waits until both know.
func part(t *testing.T, a, b *Baresip) {
	t.Helper()
	a.Hangup(t)
	a.Await(t, "CALL_CLOSED", 5*time.Second)
	b.Await(t, "CALL_CLOSED", 5*time.Second)
}
