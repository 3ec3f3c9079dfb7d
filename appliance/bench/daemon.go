package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"linekeeper/appliance/lab/phone"
	"linekeeper/appliance/lab/ua"
)

// daemon is the system under test as a process of its own, pinned to one core.
type daemon struct {
	*process
	dir     string
	target  target
	metrics netip.AddrPort
}

const (
	daemonAddress = "127.0.0.1"
	readyTimeout  = 30 * time.Second
)

// build compiles the daemon into dir.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "linekeeper")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/linekeeper").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the daemon (run this from the module's top): %w\n%s", err, out)
	}
	return binary, nil
}

// trunk is the cloud as the daemon is told of it.
type trunk struct {
	transport, server, ca string
	clear                 bool // its media is not encrypted
}

// trunk is the site's own cloud.
func (s *site) trunk() trunk {
	return trunk{transport: "tls", server: s.cloud.Target(ua.TLS), ca: string(s.cloud.CA()), clear: s.clear}
}

// startDaemon writes a site document for a cloud and runs the daemon at its seat.
func startDaemon(ctx context.Context, binary, dir string, at seat, t trunk) (*daemon, error) {
	d := &daemon{dir: dir}
	udp, err := freePort("udp")
	if err != nil {
		return nil, err
	}
	tls, err := freePort("tcp")
	if err != nil {
		return nil, err
	}
	if d.metrics, err = freePort("tcp"); err != nil {
		return nil, err
	}
	d.target = target{UDP: udp, TLS: tls, Domain: udp.Addr().String(), Name: "linekeeper on one core"}
	files := map[string]string{"site.yaml": d.siteDocument(t), "appliance.yaml": d.settings(), "cloud.pem": t.ca}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("daemon's files: %w", err)
		}
	}
	d.process, err = start(at, dir, "daemon", binary, "run", "--site", filepath.Join(dir, "site.yaml"),
		"--config", filepath.Join(dir, "appliance.yaml"), "--data", filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	d.target.PIDs = []int{d.pid()}
	if err := awaitAnswer(ctx, d.target.UDP, d.ended); err != nil {
		return nil, errors.Join(fmt.Errorf("daemon: %w\n%s", err, d.lastWords()), d.stop())
	}
	return d, nil
}

// SIP ports are picked below every media range of the site document.
const firstPort, lastPort = 6000, 9999

// freePort is a port at the daemon's address that is free now.
func freePort(network string) (netip.AddrPort, error) {
	for range 50 {
		at := netip.AddrPortFrom(netip.MustParseAddr(daemonAddress), uint16(firstPort+rand.IntN(lastPort-firstPort+1)))
		var c io.Closer
		var err error
		if network == "udp" {
			c, err = net.ListenPacket(network, at.String())
		} else {
			c, err = net.Listen(network, at.String())
		}
		if err == nil {
			return at, c.Close()
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no free %s port at %s between %d and %d", network, daemonAddress, firstPort, lastPort)
}

func (d *daemon) settings() string {
	return fmt.Sprintf("data_dir: %s\nlog: {level: warn, format: text}\napi: {socket: %s}\nnetwork: {manage: false}\nmetrics: {listen: %q}\n",
		filepath.Join(d.dir, "data"), filepath.Join(d.dir, "api.sock"), d.metrics)
}

// siteDocument describes a site of phoneCount phones with a cloud account each. The
// port ranges are wide because a call every few milliseconds outruns the rest that a
// closed port is given.
func (d *daemon) siteDocument(t trunk) string {
	var b strings.Builder
	secure, srtp := "", "required"
	if t.clear {
		srtp = `"off"`
	}
	if t.ca != "" {
		secure = fmt.Sprintf("tls: {ca: %q, server_name: %s}\n  ", filepath.Join(d.dir, "cloud.pem"), cloudDomain)
	}
	fmt.Fprintf(&b, `site: {name: Bench, country: DE, area_code: "89", main_number: "+498955500", timezone: Europe/Berlin}
provider:
  profile: generic
  domain: %s
  servers: [%q]
  transport: %s
  %ssrtp: %s
  register: {expires: 600s, spacing: 5ms}
  codecs: [PCMA, PCMU, telephone-event]
  internal_calls: local
lan:
  sip: ["udp://%s", "tls://%s"]
  media_address: %s
  media_ports: 10000-29999
  srtp: "off"
wan:
  address: %s
  media_ports: 30000-49999
  bandwidth: {up: 1000Mbit, down: 1000Mbit}
quality: {max_calls: 2000}
ui: {listen: "%s:0"}
extensions:
`, cloudDomain, t.server, t.transport, secure, srtp, d.target.UDP, d.target.TLS, daemonAddress, daemonAddress, daemonAddress)
	for i := range phoneCount {
		fmt.Fprintf(&b, "  - {number: %q, name: Phone %d, password: %q, cloud: {account: %q, password: %q}, class: international}\n",
			extension(i), i, password(i), extension(i), password(i))
	}
	return b.String()
}

// awaitAnswer waits until whoever is at addr answers OPTIONS.
func awaitAnswer(ctx context.Context, addr netip.AddrPort, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	p, err := phone.New(phone.Config{Extension: "9999", Registrar: addr, Local: phoneAddr(phoneCount)})
	if err != nil {
		return err
	}
	defer p.Close()
	for {
		try, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := p.Options(try)
		stop()
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return errors.New("it ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("it did not answer: %w", err)
		default:
		}
	}
}
