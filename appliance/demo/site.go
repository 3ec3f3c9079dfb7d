package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"linekeeper/appliance/lab/cloud"
	"linekeeper/appliance/lab/ua"
)

// The demo's addresses: all of the loopback network, so that nothing leaves the machine.
const (
	boxAddr   = "127.77.0.1"
	wanAddr   = "127.77.0.2"
	cloudAddr = "127.77.0.3"
	phoneAddr = "127.77.0.10"
	domain    = "cloud.example"
	outside   = "+4989555100" // a subscriber of the outside world
)

// person is an extension of the demo's site.
type person struct {
	number, name string
	tone         float64 // Hz that the phone sends, so that everybody can be told apart
}

// staff are the people of the practice.
func staff() []person {
	return []person{{"22", "Empfang", 440}, {"23", "Labor", 523}, {"24", "Buero", 659}, {"25", "Praxis 1", 784}}
}

// outsideTone is what the outside subscriber sends, cloudTone a caller from outside.
const (
	outsideTone = 620.0
	cloudTone   = 880.0
)

// writeSite writes the site document of the demo.
func writeSite(dir string, c *cloud.Cloud) (string, error) {
	ca := filepath.Join(dir, "cloud-ca.pem")
	if err := os.WriteFile(ca, c.CA(), 0o600); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, `site: {name: Demo-Praxis, country: DE, area_code: "89", main_number: "+498912345620", language: en}
provider:
  profile: generic
  domain: %s
  servers: ["%s"]
  transport: tls
  tls: {ca: %s}
  srtp: required
  register: {expires: 600s, spacing: 100ms}
lan:
  sip: ["udp://%[4]s:0", "tcp://%[4]s:0", "tls://%[4]s:0"]
wan: {address: %[5]s}
extensions:
`, domain, c.Target(ua.TLS), ca, boxAddr, wanAddr)
	for _, p := range staff() {
		fmt.Fprintf(&b, "  - {number: %q, name: %q, public: \"+4989123456%s\", password: %q, class: international, cloud: {account: %q, password: %q}}\n",
			p.number, p.name, p.number, phonePassword(p.number), p.number, cloudPassword(p.number))
	}
	path := filepath.Join(dir, "site.yaml")
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}

func phonePassword(number string) string { return "demo-phone-" + number + "-Xk7" }
func cloudPassword(number string) string { return "demo-cloud-" + number + "-Qw9" }
