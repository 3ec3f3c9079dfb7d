package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

//go:embed kamailio.cfg
var kamailioConfig string

// kamailio is the peer: Debian's Kamailio, with Debian's rtpengine where it is there.
type kamailio struct {
	processes []*process
	site      *site
}

// errNoPeer: the machine has no Kamailio.
var errNoPeer = errors.New("kamailio is not installed (apt-get install kamailio kamailio-tls-modules rtpengine-daemon): nothing to compare with")

// kind is what a peer does for a call.
type kind struct {
	name   string
	dialog bool // dialogs kept, topology hidden
	relay  bool // media ports allocated by rtpengine
}

// startKamailio runs the peer at the daemon's seat, in front of the same cloud.
func startKamailio(ctx context.Context, dir string, at seat, s *site) (*kamailio, error) {
	_, relay := find("rtpengine")
	kind := kind{name: "Kamailio (dialog, topoh)", dialog: true, relay: relay}
	security := voice.Required // phones speak SRTP themselves when nobody does it for them
	if relay {
		kind.name, security = "Kamailio (dialog, topoh) with rtpengine", voice.Plain
	}
	k, t, err := launchKamailio(ctx, dir, at, kind, fmt.Sprintf("sip:%s;transport=tls", s.cloud.Addr(ua.TLS)), string(s.cloud.CA()))
	if err != nil {
		return nil, err
	}
	k.site = s.beside(t, security)
	return k, nil
}

// launchKamailio runs a kind of peer in front of a cloud.
func launchKamailio(ctx context.Context, dir string, at seat, what kind, cloud, ca string) (*kamailio, target, error) {
	none := target{}
	program, ok := find("kamailio")
	if !ok {
		return nil, none, errNoPeer
	}
	var ports [3]netip.AddrPort
	for i, network := range []string{"udp", "tcp", "udp"} {
		var err error
		if ports[i], err = freePort(network); err != nil {
			return nil, none, err
		}
	}
	k := &kamailio{}
	t := target{UDP: ports[0], TLS: ports[1], Domain: ports[0].Addr().String(), Name: what.name}
	settings := map[string]any{"UDP": t.UDP, "TLS": t.TLS, "Media": "", "Dir": dir, "Cloud": cloud, "Dialog": what.dialog}
	if what.relay {
		p, err := startRelay(at, dir, ports[2].String())
		if err != nil {
			return nil, none, err
		}
		k.processes = append(k.processes, p)
		settings["Media"] = ports[2].String()
	}
	if err := writeKamailio(dir, settings, ca); err != nil {
		return nil, none, errors.Join(err, k.stop())
	}
	p, err := start(at, dir, "kamailio", program, "-DD", "-E", "-f", filepath.Join(dir, "kamailio.cfg"),
		"-m", "512", "-M", "32", "-P", filepath.Join(dir, "kamailio.pid"), "-Y", dir, "-w", dir)
	if err != nil {
		return nil, none, errors.Join(err, k.stop())
	}
	k.processes = append(k.processes, p)
	if err := awaitAnswer(ctx, t.UDP, p.ended); err != nil {
		return nil, none, errors.Join(fmt.Errorf("kamailio: %w\n%s", err, p.lastWords()), k.stop())
	}
	for _, p := range k.processes {
		t.PIDs = append(t.PIDs, family(p.pid())...)
	}
	return k, t, nil
}

// relayAddress keeps the peer's media off the daemon's ports: it holds them for half a
// minute after a call.
const relayAddress = "127.0.0.5"

// startRelay runs rtpengine for a peer.
func startRelay(at seat, dir, control string) (*process, error) {
	relay, ok := find("rtpengine")
	if !ok {
		return nil, errors.New("rtpengine is not installed (apt-get install rtpengine-daemon)")
	}
	return start(at, dir, "rtpengine", relay, "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
		"--interface="+relayAddress, "--listen-ng="+control, "--port-min=30000", "--port-max=49999", "--num-threads=1",
		"--timeout=3600", "--silent-timeout=3600", "--offer-timeout=3600", "--pidfile="+filepath.Join(dir, "rtpengine.pid"))
}

// find looks for a program where a person's PATH may not.
func find(name string) (string, bool) {
	for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, true
		}
	}
	return "", false
}

func writeKamailio(dir string, settings map[string]any, ca string) error {
	var config strings.Builder
	if err := template.Must(template.New("kamailio").Parse(kamailioConfig)).Execute(&config, settings); err != nil {
		return fmt.Errorf("kamailio's configuration: %w", err)
	}
	certificate, key, err := selfSigned()
	if err != nil {
		return fmt.Errorf("kamailio's certificate: %w", err)
	}
	if ca == "" { // no TLS toward the cloud, but the module wants to read one
		ca = certificate
	}
	tls := fmt.Sprintf("[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\ncertificate = %[1]s/peer.pem\nprivate_key = %[1]s/peer.key\n"+
		"[client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\nca_list = %[1]s/cloud.pem\n", dir)
	for name, text := range map[string]string{
		"kamailio.cfg": config.String(), "tls.cfg": tls, "peer.pem": certificate, "peer.key": key, "cloud.pem": ca,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("kamailio's files: %w", err)
		}
	}
	return nil
}

// stop ends the phones and the processes, the last started first.
func (k *kamailio) stop() error {
	if k.site != nil {
		k.site.close()
	}
	var errs []error
	for i := len(k.processes) - 1; i >= 0; i-- {
		errs = append(errs, k.processes[i].stop())
	}
	return errors.Join(errs...)
}
