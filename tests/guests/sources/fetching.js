// A guest in JavaScript that makes outgoing requests with fetch.

let count = 0;

export const fetching = {
  async post(url, text) {
    const response = await fetch(url, { method: "POST", body: text });
    const answer = await response.text();
    count += 1;
    return `${response.status} ${answer}`;
  },
  count() {
    return count;
  },
};
