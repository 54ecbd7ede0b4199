import { Link } from "react-router";
import { useWords } from "./language";
import { CardPage } from "./layout/page";

export function NotFoundPage() {
  const { notFound } = useWords();
  return (
    <CardPage title={notFound.title} intro={notFound.text}>
      <Link to="/" className="button">
        {notFound.home}
      </Link>
    </CardPage>
  );
}
