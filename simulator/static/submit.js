// Sends the answer of a sign-in back to the application; without scripts, the button does it.
document.getElementById("back").submit();
