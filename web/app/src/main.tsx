import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { BrowserRouter } from "react-router";
import { App } from "./app";
import { LanguageProvider } from "./language";
import { takeLinkFromAddress } from "./links";
import "./style.css";

takeLinkFromAddress();

createRoot(document.getElementById("app")!).render(
  <StrictMode>
    <LanguageProvider>
      <BrowserRouter>
        <App />
      </BrowserRouter>
    </LanguageProvider>
  </StrictMode>,
);
