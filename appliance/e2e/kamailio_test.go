package e2e

import (
	"path/filepath"
	"testing"
	"time"
)

// PBX is Kamailio as the provider's cloud: registrar with digest, TLS, and
// routes between its accounts.
type PBX struct {
	*Proc
	dir string
}

// Subscriber is an account of the cloud.
type Subscriber struct {
	Account, Password string
	Number            string // E.164 without plus, reaches the account
}

// House is what a provider insists on toward the site.
type House struct {
	Transport string // udp, tls
	Spacing   int    // ms between the registrations of two accounts
	Exclusive bool   // one contact for an account
	Offer     string // what a session description must match
	Numbers   string // what outside numbers must match
	Codes     string // what star codes match
	Caller    string // the far party's number, as the provider writes it
}

// Kamailio starts the cloud PBX and waits until it serves.
func (town *Town) Kamailio(t *testing.T, ca *authority, subscribers ...Subscriber) *PBX {
	t.Helper()
	return town.KamailioOf(t, nil, ca, subscribers...)
}

// KamailioOf is Kamailio going by a house's rules, nil for none.
func (town *Town) KamailioOf(t *testing.T, house *House, ca *authority, subscribers ...Subscriber) *PBX {
	t.Helper()
	dir := t.TempDir()
	cert, key := ca.Issue(t, "pbx.example", pbxAddr)
	settings := map[string]any{
		"Addr": pbxAddr, "Dir": dir, "Cert": cert, "Key": key, "Subscribers": subscribers, "CA": ca.File, "House": house,
	}
	render(t, "../../testdata/kamailio/kamailio.cfg", filepath.Join(dir, "kamailio.cfg"), settings)
	render(t, "../../testdata/kamailio/tls.cfg", filepath.Join(dir, "tls.cfg"), settings)
	pbx := &PBX{dir: dir}
	pbx.Proc = town.Cloud.Start(t, dir, nil, "kamailio",
		"-DD", "-E", "-m", "64", "-M", "8", "-Y", dir, "-w", dir, "-f", filepath.Join(dir, "kamailio.cfg"))
	pbx.Await(t, "the cloud is ready", 10*time.Second)
	return pbx
}
