package worker

import "runtime/debug"

// BuildVersion writes the version and commit that the Go tool recorded; info
// may be nil.
func BuildVersion(info *debug.BuildInfo) string {
	version, commit, dirty := "(unknown)", "", ""
	if info != nil {
		version = info.Main.Version
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				commit = " commit " + setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				dirty = "+dirty"
			}
		}
	}
	if commit == "" {
		return version
	}
	return version + commit + dirty
}

// ownVersion is that of this program.
func ownVersion() string {
	info, _ := debug.ReadBuildInfo()
	return BuildVersion(info)
}
