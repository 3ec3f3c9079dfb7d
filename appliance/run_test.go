package appliance

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"linekeeper/appliance/api"
	"linekeeper/appliance/health"
	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/store"
)

func TestPhoneIsReachableAfterARestartWithoutRegisteringAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withCloud()
	d := w.run(w.file(w.document([]string{"22", "23"})))
	p := w.registered(d, "22", ua.UDP)
	w.online(d)
	d.stop()

	d = w.run("") // the stored document serves
	w.online(d)
	a, err := w.cloud.Call(w.within(), "22", "+4989555200", outsideTone)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Incoming(w.within())
	if err != nil {
		t.Fatalf("the phone did not ring: %v", err)
	}
	w.heard(a, b, outsideTone, p.Tone())
	if _, _, renewals, failure := p.Registration(); renewals != 1 || failure != nil {
		t.Errorf("the phone registered %d times (%v)", renewals, failure)
	}
	if err := a.Hangup(w.within()); err != nil {
		t.Error(err)
	}
}

func TestRunningCallIsWaitedForAndNewOnesAreTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.run(w.file(w.document([]string{"22", "23", "24"})), func(o *Options) { o.DrainTime = longest })
	p22, p23, p24 := w.registered(d, "22", ua.UDP), w.registered(d, "23", ua.TCP), w.registered(d, "24", ua.TLS)
	a, b := w.talk(p22, p23)
	p22.SetAnswer(phone.Answer{Mode: phone.Busy})

	d.end()
	w.until("a new call is refused with 503", func() bool {
		c, err := p24.Dial(w.within(), "22") // 486 as long as calls are taken
		if err != nil {
			t.Fatal(err)
		}
		_ = c.WaitState(w.within(), ua.Ended)
		return c.View().End.Code == 503
	})
	w.heard(a, b, p22.Tone(), p23.Tone())
	select {
	case <-d.done:
		t.Fatal("the daemon ended under a running call")
	default:
	}
	if err := a.Hangup(w.within()); err != nil {
		t.Fatal(err)
	}
	if err := b.WaitState(w.within(), ua.Ended); err != nil {
		t.Error(err)
	}
	d.stop()
}

func TestPatienceWithRunningCallsEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.run(w.file(w.document([]string{"22", "23"})), func(o *Options) { o.DrainTime = 300 * time.Millisecond })
	w.talk(w.registered(d, "22", ua.UDP), w.registered(d, "23", ua.UDP))
	began := time.Now()
	d.stop()
	if took := time.Since(began); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("the daemon took %s to end, its patience is 300 ms", took)
	}
}

func TestSecondDaemonOnTheSameDataFolderIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.file(w.document([]string{"22"}))
	w.run(path)
	if err := Run(w.within(), w.options(path)); !errors.Is(err, store.ErrInUse) {
		t.Errorf("the second daemon ended with %v", err)
	}
}

func TestBoxWithoutAnyDocumentSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := Run(w.within(), w.options(""))
	if err == nil || !strings.Contains(err.Error(), "--site") {
		t.Errorf("ended with %v", err)
	}
	err = Run(w.within(), w.options(w.file("site: {name: 7")))
	if err == nil || !strings.Contains(err.Error(), "site.yaml") {
		t.Errorf("ended with %v", err)
	}
}

func TestAddressInUseEndsTheDaemonWithItsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options(w.file(w.document([]string{"22"}, w.addr(1).String(), "203.0.113.77")))
	if err := Run(w.within(), o); err == nil || !strings.Contains(err.Error(), "203.0.113.77") {
		t.Errorf("ended with %v, want the address that could not be had", err)
	}
}

func TestBrokenFileLeavesTheStoredDocumentServingAndRaisesTheAlarm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(w.file(w.document([]string{"22"}))).stop()
	d := w.run(w.file(w.document([]string{"22"}, "extensions:", "extensoins:")))
	w.until("the alarm is raised", func() bool {
		for _, a := range d.Status().Alarms {
			if a.Code == health.SiteRejected {
				return strings.Contains(a.Cause, "extensoins")
			}
		}
		return false
	})
	w.registered(d, "22", ua.UDP)
	if st := d.Status(); st.Site.Revision != 1 {
		t.Errorf("revision %d serves", st.Site.Revision)
	}
}

func TestBrokenDocumentIsRefusedWhileCallsGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.run(w.file(w.document([]string{"22", "23"})))
	p22, p23 := w.registered(d, "22", ua.UDP), w.registered(d, "23", ua.UDP)
	a, b := w.talk(p22, p23)
	lan := w.addr(1).String()
	broken := map[string]string{
		"not YAML":                    "site: [",
		"an unknown key":              w.document([]string{"22", "23"}, "class:", "clas:"),
		"an address that is not ours": w.document([]string{"22", "23"}, "udp://"+lan, "udp://203.0.113.77"),
		"a CA that is not there":      w.document([]string{"22", "23"}, `ca: ""`, `ca: "nowhere.pem"`),
	}
	for what, text := range broken {
		_, err := d.api.Apply(w.within(), []byte(text), api.DefaultConfirmWithin)
		var p *api.Problem
		if !errors.As(err, &p) || len(p.Findings) == 0 {
			t.Errorf("%s: %v, want a problem with findings", what, err)
		}
	}
	if st := d.Status(); st.Site.Revision != 1 || st.Calls.Active != 1 {
		t.Errorf("revision %d, %d calls", st.Site.Revision, st.Calls.Active)
	}
	w.heard(a, b, p22.Tone(), p23.Tone())
	if got := len(d.wire.Listening("lan")); got != 3 {
		t.Errorf("%d listeners are left", got)
	}
	w.talk(w.registered(d, "23", ua.TCP), p22)
}

func TestSiteChangesWhileItServes(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withCloud()
	d := w.run(w.file(w.document([]string{"22", "23", "24"})))
	p22, p24 := w.registered(d, "22", ua.UDP), w.registered(d, "24", ua.UDP)
	w.online(d)
	registers := w.cloud.Stats().Registered

	lan := w.addr(1).String()
	text := w.document([]string{"22", "23"}, phonePassword("22"), "ganz-neu-22-ulme", `"tls://`+lan, `"tcp://`+lan+`:5070", "tls://`+lan, "Platz 23", "Labor")
	got, err := d.api.Apply(w.within(), []byte(text), api.DefaultConfirmWithin)
	if err != nil || !got.Changed || got.Revision.Number != 2 {
		t.Fatalf("%+v, %v", got, err)
	}

	exts := d.Extensions()
	if len(exts) != 2 || exts[1].Name != "Labor" || !exts[0].Registered {
		t.Errorf("extensions %+v", exts)
	}
	if n := len(d.bindings.Snapshot(time.Now())["24"]); n != 0 {
		t.Errorf("the extension that is gone has %d bindings", n)
	}
	var refused *phone.Refused
	if err := p24.Register(w.within()); !errors.As(err, &refused) {
		t.Errorf("a phone without an extension registers: %v", err)
	}
	if err := w.phone(d, "22", ua.UDP).Register(w.within()); !errors.As(err, &refused) {
		t.Errorf("the old password still opens: %v", err)
	}
	fresh := w.phone(d, "22", ua.TCP, func(c *phone.Config) { c.Password = "ganz-neu-22-ulme" })
	if err := fresh.Register(w.within()); err != nil {
		t.Errorf("the new password: %v", err)
	}
	w.until("the line of the extension that is gone unregisters", func() bool { return len(w.cloud.Bindings("24")) == 0 })
	w.online(d)
	if lines := d.Lines(); len(lines) != 2 {
		t.Errorf("lines %+v", lines)
	}
	if now := w.cloud.Stats().Registered; now > registers+1 { // one for the line that left
		t.Errorf("%d REGISTERs for lines that did not change", now-registers-1)
	}
	if got := len(d.wire.Listening("lan")); got != 4 {
		t.Errorf("%d listeners, want the new one too", got)
	}
	if len(exts) > 0 && p22.Local().String() != exts[0].Contacts[0].Address {
		t.Errorf("the phone whose password changed was put out before its time: %+v", exts[0].Contacts)
	}
}

func TestPasswordsAreNowhereInDataFolderAndLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t).withCloud()
	d := w.run(w.file(w.document([]string{"22", "23"})))
	p22, p23 := w.registered(d, "22", ua.UDP), w.registered(d, "23", ua.TLS)
	w.online(d)
	w.talk(p22, p23)
	wrong := w.phone(d, "23", ua.UDP, func(c *phone.Config) { c.Password = "vertippt-17-rabe" })
	if err := wrong.Register(w.within()); err == nil {
		t.Error("a wrong password opened")
	}
	d.stop()
	secrets := []string{phonePassword("22"), phonePassword("23"), cloudPassword("22"), cloudPassword("23"), "vertippt-17-rabe"}
	files := 0
	err := filepath.WalkDir(w.dataDir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, s := range secrets {
			if strings.Contains(string(text), s) {
				t.Errorf("%s holds the password %s", e.Name(), s)
			}
		}
		if info, err := e.Info(); err == nil && info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(e.Name(), ".crt") {
			t.Errorf("%s can be read by others: %s", e.Name(), info.Mode())
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d files looked at: %v", files, err)
	}
	crt, err := os.ReadFile(filepath.Join(w.dataDir(), "ca", "ca.crt"))
	if err != nil || !bytes.Equal(crt, d.Authority()) || bytes.Contains(crt, []byte("PRIVATE")) {
		t.Errorf("what phones are to trust holds more than a certificate (%v)", err)
	}
	for _, s := range secrets {
		if strings.Contains(w.log.String(), s) {
			t.Errorf("the log holds the password %s", s)
		}
	}
}
