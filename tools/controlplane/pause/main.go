// Command pause holds the namespaces that the containers of a pod share. It is process 1 of a pod, so it also
// collects the processes that lost their parent. It does what the image registry.k8s.io/pause does, which a machine
// without access to that registry cannot get.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
