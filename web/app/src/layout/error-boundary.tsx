import { Component, type ReactNode } from "react";
import { useWords } from "../language";
import { CardPage } from "./page";

/** Says so when a page breaks; a new `page` is tried again. */
export class ErrorBoundary extends Component<{ page: string; children: ReactNode }, { brokenPage: string | null }> {
  override state = { brokenPage: null as string | null };

  static getDerivedStateFromError(): { brokenPage: string } {
    return { brokenPage: "" };
  }

  override componentDidCatch(): void {
    this.setState({ brokenPage: this.props.page });
  }

  override componentDidUpdate(before: { page: string }): void {
    if (before.page !== this.props.page && this.state.brokenPage !== null) this.setState({ brokenPage: null });
  }

  override render(): ReactNode {
    return this.state.brokenPage === null ? this.props.children : <Broken />;
  }
}

function Broken() {
  const words = useWords();
  return (
    <CardPage title={words.crash.title} intro={words.crash.text}>
      <button type="button" className="button" onClick={() => location.reload()}>
        {words.crash.again}
      </button>
    </CardPage>
  );
}
