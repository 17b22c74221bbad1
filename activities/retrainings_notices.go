package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

const (
	// noticeWithin bounds one try to post a notice.
	noticeWithin = 10 * time.Second
	// idempotencyHeader has the notice's ID, the same for all tries.
	idempotencyHeader = "Idempotency-Key"
)

// SendNotice implements models.Retrainings. The receiver's address is often a
// secret: it is resolved here, on the worker, and is in no error and no log.
func (r *Retrainings) SendNotice(ctx context.Context, request models.NotifyRequest) error {
	notice := request.Notice
	if r.WorkflowPage != nil && notice.Endpoint != "" {
		notice.Link = r.WorkflowPage(models.MonitorID(notice.Endpoint), "")
	}
	address, err := r.receiver(request.To.URL)
	if err != nil {
		return err
	}
	var body any = notice
	if request.To.Format == models.NotifySlack {
		body = slackMessage(notice)
	}
	content, err := json.Marshal(body)
	if err != nil {
		return noticeFailure(models.KindInvalidSpec, "it can't be written as JSON")
	}
	ctx, cancel := context.WithTimeout(ctx, noticeWithin)
	defer cancel()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(content))
	if err != nil {
		return noticeFailure(models.KindInvalidSpec, "the receiver's address is none")
	}
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("User-Agent", "mainspring")
	post.Header.Set(idempotencyHeader, notice.ID)
	response, err := r.poster().Do(post)
	if err != nil {
		return noticeFailure(models.KindUnavailable, unanswered(err))
	}
	defer response.Body.Close()
	return accepted(response)
}

// receiver resolves a reference to the address of a receiver. Another worker may
// have what this one lacks, so that this is tried again.
func (r *Retrainings) receiver(reference string) (string, error) {
	address := reference
	const hint = "set it for every worker"
	if name, ok := strings.CutPrefix(reference, models.SecretFromEnv); ok {
		if r.Getenv != nil {
			address = r.Getenv(name)
		}
		if r.Getenv == nil || address == "" {
			return "", &models.Error{Kind: models.KindUnavailable, Subject: "monitor.notify", Message: name + " is not set on this worker", Hint: hint}
		}
	} else if path, ok := strings.CutPrefix(reference, models.SecretFromFile); ok {
		content, err := os.ReadFile(path)
		if err != nil {
			return "", &models.Error{Kind: models.KindUnavailable, Subject: "monitor.notify", Message: "the file of the receiver's address can't be read on this worker",
				Hint: hint, Cause: err}
		}
		address = string(content)
	}
	address = strings.TrimSpace(address)
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" {
		return "", noticeFailure(models.KindInvalidSpec, "the receiver's address is none; it must begin with https://")
	}
	return address, nil
}

// poster follows no redirect: only the address that a person wrote is posted to.
func (r *Retrainings) poster() *http.Client {
	poster := http.Client{}
	if r.HTTP != nil {
		poster = *r.HTTP
	}
	poster.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &poster
}

// word is an answer such as Slack's invalid_payload; anything longer may quote
// the address.
var word = regexp.MustCompile(`^[a-z_]{1,40}$`)

func accepted(response *http.Response) error {
	if response.StatusCode/100 == 2 {
		return nil
	}
	said := fmt.Sprintf("the receiver answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	begin := make([]byte, 41)
	if n, err := io.ReadFull(response.Body, begin); err != nil && word.Match(bytes.TrimSpace(begin[:n])) {
		said += ": " + string(bytes.TrimSpace(begin[:n]))
	}
	switch {
	case response.StatusCode >= 500, response.StatusCode == http.StatusRequestTimeout, response.StatusCode == http.StatusTooManyRequests:
		return noticeFailure(models.KindUnavailable, said)
	default:
		return noticeFailure(models.KindInvalidSpec, said)
	}
}

// unanswered says why there is no answer, without the address that errors of
// package net name.
func unanswered(err error) string {
	var name *net.DNSError
	var code syscall.Errno
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &name):
		return "the receiver's name can't be resolved"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("the receiver did not answer within %s", noticeWithin)
	case errors.As(err, &code):
		return "the receiver can't be reached: " + code.Error()
	default:
		return "the receiver can't be reached"
	}
}

func noticeFailure(kind models.ErrorKind, message string) error {
	return &models.Error{Kind: kind, Subject: "monitor.notify", Message: message, Hint: "see the receiver in monitor.notify and its secret on the workers"}
}
