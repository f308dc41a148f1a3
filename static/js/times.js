// Times on the page follow the business clock: the server says what it was when the page was
// made and how fast it runs (1 in production), and the elements go on from there.
const page = document.documentElement.dataset;
const loaded = Date.now();
const start = Date.parse(page.now ?? "") || loaded;
const factor = Number(page.factor) || 1;

const now = () => start + (Date.now() - loaded) * factor;

const two = (number) => String(number).padStart(2, "0");

const digits = (milliseconds) => {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
};

const relative = (milliseconds) => {
  const minutes = Math.round(Math.abs(milliseconds) / 60000);
  if (minutes < 1) return "now";
  let text = `${minutes} min`;
  if (minutes >= 2880) text = `${Math.round(minutes / 1440)} days`;
  else if (minutes >= 60) text = `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
  return milliseconds > 0 ? `in ${text}` : `${text} ago`;
};

class TimeElement extends HTMLElement {
  connectedCallback() {
    this.show();
    this.timer = setInterval(() => this.show(), this.period);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }
}

// <time-left until="…" since="…">: digits that run down, and the bar beside them.
class TimeLeft extends TimeElement {
  get period() {
    return 1000;
  }

  show() {
    const until = Date.parse(this.getAttribute("until"));
    const left = until - now();
    this.textContent = left > 0 ? digits(left) : this.getAttribute("over");
    const bar = this.parentElement?.querySelector("progress");
    const since = Date.parse(this.getAttribute("since") ?? "");
    if (bar && since) bar.value = Math.max(0, Math.min(1, left / (until - since)));
  }
}

// <local-time><time datetime="…">: the same instant in the reader's zone, and how far away it is.
class LocalTime extends TimeElement {
  get period() {
    return Math.max(1000, 30000 / factor);
  }

  show() {
    const time = this.querySelector("time");
    const moment = new Date(time.dateTime);
    if (!this.placed) {
      const sameDay = moment.toDateString() === new Date(now()).toDateString();
      const date = sameDay ? {} : { day: "numeric", month: "short" };
      const year = moment.getFullYear() === new Date(now()).getFullYear() ? {} : { year: "numeric" };
      time.title = `${moment.toISOString().replace(".000Z", "Z")} (UTC)`;
      time.textContent = new Intl.DateTimeFormat("en-GB", {
        ...date,
        ...(sameDay ? {} : year),
        hour: "2-digit",
        minute: "2-digit",
        timeZoneName: "short",
      }).format(moment);
      this.placed = true;
    }
    const distance = this.querySelector(".relative");
    if (distance) distance.textContent = `(${relative(moment - now())})`;
  }
}

// <clock-now>: what time it is on the business clock.
class ClockNow extends TimeElement {
  get period() {
    return Math.max(1000, 60000 / factor);
  }

  show() {
    const shape = { hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
    this.textContent = new Intl.DateTimeFormat("en-GB", shape).format(new Date(now()));
  }
}

// <own-time datetime="…">: beside an instant in UTC the same in the reader's zone, where that is another.
class OwnTime extends HTMLElement {
  connectedCallback() {
    const moment = new Date(this.getAttribute("datetime"));
    if (!moment.getTimezoneOffset()) return;
    this.textContent = new Intl.DateTimeFormat("en-GB", {
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      timeZoneName: "short",
    }).format(moment);
  }
}

customElements.define("own-time", OwnTime);
customElements.define("clock-now", ClockNow);
customElements.define("time-left", TimeLeft);
customElements.define("local-time", LocalTime);
