package settings

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"linekeeper/appliance/config"
)

// File is where the settings are if the command line names no other file. It
// need not exist.
const File = "/etc/linekeeper/appliance.yaml"

// Settings are the daemon's own.
type Settings struct {
	// DataDir is where everything is kept that must outlive a restart.
	DataDir  string   `mapstructure:"data_dir"`
	Log      Log      `mapstructure:"log"`
	API      API      `mapstructure:"api"`
	Network  Network  `mapstructure:"network"`
	Firmware Firmware `mapstructure:"firmware"`
	Metrics  Metrics  `mapstructure:"metrics"`
}

// Log is what is logged and how.
type Log struct {
	Level  string `mapstructure:"level"`  // debug, info, warn, error
	Format string `mapstructure:"format"` // text, json
}

// Slog is the level as the standard library has it.
func (l Log) Slog() slog.Level {
	var v slog.Level
	// Parse has let nothing else through than what slog knows.
	_ = v.UnmarshalText([]byte(l.Level))
	return v
}

// API is the daemon's unix socket.
type API struct {
	Socket string `mapstructure:"socket"` // at most 107 bytes (unix(7))
}

// Network says whether the daemon may change interfaces.
type Network struct {
	Manage bool `mapstructure:"manage"`
}

// Firmware says how the box is updated.
type Firmware struct {
	Backend string `mapstructure:"backend"` // none, rauc
}

// Metrics is where Prometheus finds them; an empty address switches them off.
type Metrics struct {
	Listen string `mapstructure:"listen"`
}

// delimiter parts the keys inside viper. Its own dot would split a key that
// has one.
const delimiter = "::"

const (
	maxFile   = 64 << 10 // bytes of a settings file
	maxSocket = 107      // sun_path without its final zero (unix(7))
	prefix    = "LINEKEEPER_"
)

// key is a setting with its default.
type key struct {
	path  string
	value any
}

func keys() []key {
	return []key{
		{"data_dir", "/var/lib/linekeeper"},
		{"log::level", "info"},
		{"log::format", "text"},
		{"api::socket", "/run/linekeeper/api.sock"},
		{"network::manage", false},
		{"firmware::backend", "none"},
		{"metrics::listen", "127.0.0.1:9464"},
	}
}

// Default is what holds where neither file nor environment says otherwise.
func Default() Settings {
	s, err := Parse(File, nil, nil)
	if err != nil {
		panic("settings: the defaults are wrong: " + err.Error())
	}
	return s
}

// Variable is the environment variable of a key, LINEKEEPER_LOG_LEVEL for
// "log.level".
func Variable(path string) string {
	return prefix + strings.ToUpper(strings.NewReplacer(delimiter, "_", ".", "_").Replace(path))
}

// Parse reads the settings file (nil: there is none) and lays the environment,
// as os.Environ gives it, over it. The error names every problem, a line each.
func Parse(name string, document []byte, environ []string) (Settings, error) {
	if len(document) > maxFile {
		return Settings{}, fmt.Errorf("%s: %d bytes, at most %d are read", name, len(document), maxFile)
	}
	v := viper.NewWithOptions(viper.KeyDelimiter(delimiter))
	v.SetConfigType("yaml")
	for _, k := range keys() {
		v.SetDefault(k.path, k.value)
	}
	if err := strict(name, document); err != nil {
		return Settings{}, err
	}
	if err := v.ReadConfig(bytes.NewReader(document)); err != nil {
		return Settings{}, fmt.Errorf("%s: not YAML: %w", name, err)
	}
	if err := overlay(v, environ); err != nil {
		return Settings{}, err
	}
	var s Settings
	err := v.UnmarshalExact(&s, func(c *mapstructure.DecoderConfig) { c.WeaklyTypedInput = false })
	if err != nil {
		return Settings{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := s.judge(name); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// strict refuses unknown keys with their line. viper would lower-case them
// first and couldn't tell where they stand.
func strict(name string, document []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(document, &doc); err != nil {
		return fmt.Errorf("%s: not YAML: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	var errs []error
	known := map[string]bool{} // key: whether it has keys below
	for _, k := range keys() {
		head, _, deep := strings.Cut(k.path, delimiter)
		known[head] = deep
		known[k.path] = false
	}
	walk(doc.Content[0], "", func(k *yaml.Node, path string) bool {
		deep, ok := known[path]
		if !ok {
			errs = append(errs, unknown(name, k, path))
		}
		return deep
	})
	return errors.Join(errs...)
}

func unknown(name string, k *yaml.Node, path string) error {
	var words []string
	for _, s := range keys() {
		words = append(words, s.path)
	}
	shown := strings.ReplaceAll(path, delimiter, ".")
	if near := config.Nearest(path, words); near != "" {
		return fmt.Errorf("%s:%d:%d: %s: unknown key (did you mean %s?)", name, k.Line, k.Column, shown, strings.ReplaceAll(near, delimiter, "."))
	}
	return fmt.Errorf("%s:%d:%d: %s: unknown key (known: %s)", name, k.Line, k.Column, shown, strings.ReplaceAll(strings.Join(words, ", "), delimiter, "."))
}

// walk visits the keys of a mapping, and those below where visit says so.
func walk(n *yaml.Node, path string, visit func(k *yaml.Node, path string) bool) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := n.Content[i].Value
		if path != "" {
			p = path + delimiter + p
		}
		if visit(n.Content[i], p) {
			walk(n.Content[i+1], p, visit)
		}
	}
}

// overlay sets what the environment says. A variable that is there and empty
// counts: it switches metrics off, say.
func overlay(v *viper.Viper, environ []string) error {
	set := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, prefix) {
			set[name] = value
		}
	}
	var errs []error
	for _, k := range keys() {
		text, ok := set[Variable(k.path)]
		if !ok {
			continue
		}
		if _, truth := k.value.(bool); !truth {
			v.Set(k.path, text)
			continue
		}
		b, err := strconv.ParseBool(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is neither true nor false", Variable(k.path), text))
		}
		v.Set(k.path, b)
	}
	return errors.Join(errs...)
}

// judge finds every value that can't be.
func (s Settings) judge(name string) error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s (or %s): %s", name, path, Variable(path), fmt.Sprintf(format, args...)))
	}
	word := func(path, value string, words ...string) {
		for _, w := range words {
			if w == value {
				return
			}
		}
		bad(path, "%q is not one of %s", value, strings.Join(words, ", "))
	}
	if s.DataDir == "" {
		bad("data_dir", "is empty; name a folder")
	}
	word("log.level", s.Log.Level, "debug", "info", "warn", "error")
	word("log.format", s.Log.Format, "text", "json")
	if s.API.Socket == "" || len(s.API.Socket) > maxSocket {
		bad("api.socket", "%d bytes; a socket's name has 1 to %d", len(s.API.Socket), maxSocket)
	}
	word("firmware.backend", s.Firmware.Backend, "none", "rauc")
	if l := s.Metrics.Listen; l != "" {
		if _, err := netip.ParseAddrPort(strings.Replace("@"+l, "@:", "@0.0.0.0:", 1)[1:]); err != nil {
			bad("metrics.listen", "%q is not an address with a port, such as 127.0.0.1:9464", l)
		}
	}
	return errors.Join(errs...)
}
