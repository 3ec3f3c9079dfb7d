package settings

import (
	"strings"
	"testing"
)

const contract = `
data_dir: /var/lib/linekeeper
log: {level: info, format: text}
api: {socket: /run/linekeeper/api.sock}
network: {manage: false}
firmware: {backend: none}
metrics: {listen: "127.0.0.1:9464"}
`

func TestTheContractsFileIsTheDefault(t *testing.T) {
	s, err := Parse("appliance.yaml", []byte(contract), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s != Default() || s.DataDir != "/var/lib/linekeeper" || s.Metrics.Listen != "127.0.0.1:9464" {
		t.Errorf("%+v", s)
	}
}

func TestTheEnvironmentWinsForEveryKey(t *testing.T) {
	env := []string{
		"LINEKEEPER_DATA_DIR=/d", "LINEKEEPER_LOG_LEVEL=debug", "LINEKEEPER_LOG_FORMAT=json",
		"LINEKEEPER_API_SOCKET=/s", "LINEKEEPER_NETWORK_MANAGE=true", "LINEKEEPER_FIRMWARE_BACKEND=rauc",
		"LINEKEEPER_METRICS_LISTEN=", "LINEKEEPER_MUST=lab", "PATH=/bin",
	}
	s, err := Parse("appliance.yaml", []byte(contract), env)
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{"/d", Log{"debug", "json"}, API{"/s"}, Network{true}, Firmware{"rauc"}, Metrics{""}}
	if s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	if len(keys()) != 7 {
		t.Error("a key was added: say its variable here")
	}
}

func TestWrongSettingsAreRefusedWithEveryReason(t *testing.T) {
	for name, c := range map[string]struct {
		doc  string
		env  []string
		want []string
	}{
		"unknown keys": {"datadir: /x\nlog: {lvel: info}\nLog: {level: info}\n", nil,
			[]string{"a.yaml:1:1: datadir: unknown key (did you mean data_dir?)", "a.yaml:2:7: log.lvel: unknown key (did you mean log.level?)", "a.yaml:3:1: Log"}},
		"dotted key":      {"log.level: debug\n", nil, []string{"log.level: unknown key"}},
		"wrong words":     {"log: {level: loud, format: xml}\nfirmware: {backend: x}\n", nil, []string{"log.level", "log.format", "firmware.backend", "LINEKEEPER_LOG_LEVEL"}},
		"wrong type":      {"network: {manage: sure}\n", nil, []string{"manage"}},
		"number for text": {"data_dir: 5\n", nil, []string{"data_dir"}},
		"wrong variable":  {"", []string{"LINEKEEPER_NETWORK_MANAGE=sure"}, []string{"LINEKEEPER_NETWORK_MANAGE"}},
		"twice":           {"data_dir: /a\ndata_dir: /b\n", nil, []string{"already defined"}},
		"no YAML":         {"a: [", nil, []string{"not YAML"}},
		"a list":          {"- a\n", nil, []string{"a.yaml"}},
		"empty":           {"data_dir: \"\"\napi: {socket: \"\"}\nmetrics: {listen: here}\n", nil, []string{"data_dir", "api.socket", "metrics.listen"}},
		"long socket":     {"api: {socket: /" + strings.Repeat("x", 107) + "}\n", nil, []string{"1 to 107"}},
		"huge":            {strings.Repeat("#\n", maxFile), nil, []string{"at most"}},
	} {
		_, err := Parse("a.yaml", []byte(c.doc), c.env)
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is missing in:\n%v", name, w, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(contract)
	f.Add("log: {level: [}")
	f.Fuzz(func(t *testing.T, doc string) {
		if s, err := Parse("a.yaml", []byte(doc), nil); err == nil && s.DataDir == "" {
			t.Error("taken without a data folder")
		}
	})
}
