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

// startKamailio runs the peer at the daemon's seat, in front of the same cloud.
func startKamailio(ctx context.Context, dir string, at seat, s *site) (*kamailio, error) {
	program, ok := find("kamailio")
	if !ok {
		return nil, errNoPeer
	}
	var ports [3]netip.AddrPort
	for i, network := range []string{"udp", "tcp", "udp"} {
		var err error
		if ports[i], err = freePort(network); err != nil {
			return nil, err
		}
	}
	k := &kamailio{}
	t := target{UDP: ports[0], TLS: ports[1], Domain: ports[0].Addr().String(), Name: "Kamailio (dialog, topoh)"}
	security := voice.Required // phones speak SRTP themselves when nobody does it for them
	media := ""
	if relay, ok := find("rtpengine"); ok {
		media = ports[2].String()
		p, err := start(at, dir, "rtpengine", relay, "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
			"--interface="+daemonAddress, "--listen-ng="+media, "--port-min=30000", "--port-max=49999", "--num-threads=1",
			"--timeout=3600", "--silent-timeout=3600", "--offer-timeout=3600", "--pidfile="+filepath.Join(dir, "rtpengine.pid"))
		if err != nil {
			return nil, err
		}
		k.processes = append(k.processes, p)
		t.Name, security = "Kamailio (dialog, topoh) with rtpengine", voice.Plain
	}
	if err := writeKamailio(dir, s, t, media); err != nil {
		return nil, errors.Join(err, k.stop())
	}
	p, err := start(at, dir, "kamailio", program, "-DD", "-E", "-f", filepath.Join(dir, "kamailio.cfg"),
		"-m", "512", "-M", "32", "-P", filepath.Join(dir, "kamailio.pid"), "-Y", dir, "-w", dir)
	if err != nil {
		return nil, errors.Join(err, k.stop())
	}
	k.processes = append(k.processes, p)
	if err := awaitAnswer(ctx, t.UDP, p.ended); err != nil {
		return nil, errors.Join(fmt.Errorf("kamailio: %w\n%s", err, p.lastWords()), k.stop())
	}
	for _, p := range k.processes {
		t.PIDs = append(t.PIDs, family(p.pid())...)
	}
	k.site = s.beside(t, security)
	return k, nil
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

func writeKamailio(dir string, s *site, t target, media string) error {
	var config strings.Builder
	err := template.Must(template.New("kamailio").Parse(kamailioConfig)).Execute(&config, map[string]any{
		"UDP": t.UDP, "TLS": t.TLS, "Media": media, "Dir": dir, "Cloud": s.cloud.Addr(ua.TLS),
	})
	if err != nil {
		return fmt.Errorf("kamailio's configuration: %w", err)
	}
	certificate, key, err := selfSigned()
	if err != nil {
		return fmt.Errorf("kamailio's certificate: %w", err)
	}
	tls := fmt.Sprintf("[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\ncertificate = %[1]s/peer.pem\nprivate_key = %[1]s/peer.key\n"+
		"[client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\nca_list = %[1]s/cloud.pem\n", dir)
	for name, text := range map[string]string{
		"kamailio.cfg": config.String(), "tls.cfg": tls, "peer.pem": certificate, "peer.key": key, "cloud.pem": string(s.cloud.CA()),
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
